//! Inputs and outputs of a dataflow on one worker, one time for each transaction.
//!
//! Everything that makes it fast is taken: 32 bits for cells, times and weights. Outputs are
//! counted as they come; a subscriber would need them consolidated, which is not charged.
use crate::facts::Row;
use differential_dataflow::input::InputSession;
use differential_dataflow::{ExchangeData, VecCollection};
use std::cell::Cell;
use std::rc::Rc;
use timely::dataflow::operators::probe::Handle;
use timely::dataflow::Scope;

pub type Time = u32;
pub type Weight = i32;
pub type Rows<'s, D> = VecCollection<'s, Time, D, Weight>;

pub fn swap<A, B>((a, b): (A, B)) -> (B, A) {
    (b, a)
}

pub trait FromRow {
    fn from_row(row: Row) -> Self;
}
impl FromRow for u32 {
    fn from_row([x, _, _]: Row) -> Self {
        x
    }
}
impl FromRow for (u32, u32) {
    fn from_row([x, y, _]: Row) -> Self {
        (x, y)
    }
}
impl FromRow for (u32, u32, u32) {
    fn from_row([x, y, z]: Row) -> Self {
        (x, y, z)
    }
}

/// An input, whatever its width.
pub trait Input {
    fn change(&mut self, row: Row, weight: Weight);
    fn advance(&mut self, time: Time);
}
impl<D: FromRow + ExchangeData> Input for InputSession<Time, D, Weight> {
    fn change(&mut self, row: Row, weight: Weight) {
        self.update(D::from_row(row), weight);
    }
    fn advance(&mut self, time: Time) {
        self.advance_to(time);
        self.flush();
    }
}

/// A table's rows as the sum of all weights that came out.
pub struct Output {
    pub table: &'static str,
    pub rows: Rc<Cell<i64>>,
}

pub struct Build<'s> {
    pub scope: Scope<'s, Time>,
    pub probe: Handle<Time>,
    pub inputs: Vec<(&'static str, Box<dyn Input>)>,
    pub outputs: Vec<Output>,
}

impl<'s> Build<'s> {
    pub fn new(scope: Scope<'s, Time>, probe: Handle<Time>) -> Self {
        Build { scope, probe, inputs: vec![], outputs: vec![] }
    }

    pub fn input<D: FromRow + ExchangeData>(&mut self, table: &'static str) -> Rows<'s, D> {
        let mut session = InputSession::new();
        let rows = session.to_collection(self.scope);
        self.inputs.push((table, Box::new(session)));
        rows
    }

    pub fn output<D: Clone + 'static>(&mut self, table: &'static str, rows: Rows<'s, D>) {
        let sum = Rc::new(Cell::new(0));
        let counted = sum.clone();
        rows.inspect_batch(move |_, changes| {
            let weights: i64 = changes.iter().map(|(_, _, weight)| i64::from(*weight)).sum();
            counted.set(counted.get() + weights);
        })
        .probe_with(&self.probe);
        self.outputs.push(Output { table, rows: sum });
    }
}
