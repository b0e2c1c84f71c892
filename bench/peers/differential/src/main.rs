//! differential PROGRAM FOLDER [STEPS]: the programs of the bench in differential dataflow.
//!
//! Loads FOLDER/<table>.facts as the first transaction. STEPS is a file with more of them: a line
//! is `+` or `-`, a table and its cells, with tabs between; a line `=` commits. Prints one line of
//! JSON: sizes after the first, and for each step its times and the rows of all outputs after it.
mod dataflow;
#[path = "../../facts.rs"]
mod facts;
mod programs;

use dataflow::{Build, Input, Output, Time, Weight};
use facts::{runs_json, sizes_json, spent, Facts, Row};
use std::io::Write;
use timely::dataflow::operators::probe::Handle;
use timely::worker::Worker;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Input, row, weight.
type Change = (usize, Row, Weight);

struct Dataflow {
    inputs: Vec<(&'static str, Box<dyn Input>)>,
    outputs: Vec<Output>,
    probe: Handle<Time>,
    time: Time,
}

impl Dataflow {
    /// Until every output is complete.
    fn transact(&mut self, worker: &mut Worker, changes: &[Change]) {
        for &(input, row, weight) in changes {
            self.inputs[input].1.change(row, weight);
        }
        self.time += 1;
        for (_, input) in &mut self.inputs {
            input.advance(self.time);
        }
        worker.step_while(|| self.probe.less_than(&self.time));
    }

    fn rows(&self) -> i64 {
        self.outputs.iter().map(|output| output.rows.get()).sum()
    }

    fn first(&self, facts: &mut Facts) -> Vec<Change> {
        let mut changes = vec![];
        for (input, (table, _)) in self.inputs.iter().enumerate() {
            changes.extend(facts.rows(table).into_iter().map(|row| (input, row, 1)));
        }
        changes
    }

    fn steps(&self, facts: &mut Facts, file: &str) -> Vec<Vec<Change>> {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut steps = vec![];
        let mut step = vec![];
        for line in text.lines() {
            if line == "=" {
                steps.push(std::mem::take(&mut step));
                continue;
            }
            let (sign, rest) = line.split_once('\t').expect("a sign");
            let (table, cells) = rest.split_once('\t').expect("a table");
            let input = self.inputs.iter().position(|(name, _)| *name == table).expect("an input");
            step.push((input, facts.row(cells), if sign == "+" { 1 } else { -1 }));
        }
        steps
    }
}

fn list(numbers: impl Iterator<Item = impl ToString>) -> String {
    let texts: Vec<String> = numbers.map(|number| number.to_string()).collect();
    format!("[{}]", texts.join(","))
}

fn run(worker: &mut Worker, program: &str, folder: &str, steps: Option<&str>) {
    let mut facts = Facts::new(folder, &programs::RESERVED);
    let probe = Handle::new();
    let (inputs, outputs) = worker.dataflow::<Time, _, _>(|scope| {
        let mut build = Build::new(scope, probe.clone());
        programs::build(program, &mut build);
        (build.inputs, build.outputs)
    });
    let mut dataflow = Dataflow { inputs, outputs, probe, time: 0 };
    let first = dataflow.first(&mut facts);
    let steps = steps.map_or(vec![], |file| dataflow.steps(&mut facts, file));

    let fixpoint = spent(|| dataflow.transact(worker, &first));
    let sizes: Vec<(&str, usize)> =
        dataflow.outputs.iter().map(|output| (output.table, output.rows.get() as usize)).collect();
    let mut times = vec![];
    let mut rows = vec![];
    for step in &steps {
        times.push(spent(|| dataflow.transact(worker, step)));
        rows.push(dataflow.rows());
    }
    println!(
        "{{\"sizes\":{},\"runs\":{},\"steps\":{{\"wallMs\":{},\"cpuMs\":{},\"rows\":{}}}}}",
        sizes_json(&sizes),
        runs_json(&[fixpoint]),
        list(times.iter().map(|time| time.wall_ms)),
        list(times.iter().map(|time| time.cpu_ms)),
        list(rows.iter()),
    );
    // Gigabytes of traces are left to the system.
    std::io::stdout().flush().expect("an open standard output");
    std::process::exit(0);
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [program, folder, steps @ ..] = words.as_slice() else {
        panic!("usage: differential PROGRAM FOLDER [STEPS]");
    };
    let (program, folder, steps) = (program.clone(), folder.clone(), steps.first().cloned());
    timely::execute_directly(move |worker| run(worker, &program, &folder, steps.as_deref()));
}
