//! ascent PROGRAM FOLDER RUNS: the programs of the bench in Ascent, which generates Rust from rules.
//!
//! Reads FOLDER/<table>.facts, evaluates them RUNS times, each from nothing, and prints one line of
//! JSON. It has no updates.
#[path = "../../facts.rs"]
mod facts;
mod programs;

use facts::{runs_json, sizes_json, spent, Facts, Row, Spent};
use programs::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A row of a relation of Ascent is a tuple of its own width.
trait FromRow {
    fn from_row(row: Row) -> Self;
}
impl FromRow for (u32,) {
    fn from_row([x, _, _]: Row) -> Self {
        (x,)
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

fn load<T: FromRow, C: FromIterator<T>>(facts: &mut Facts, table: &str) -> C {
    facts.rows(table).into_iter().map(T::from_row).collect()
}

/// Fills the relations before the arrow, runs, and counts those behind it.
macro_rules! evaluate {
    ($facts:ident, $runs:ident, $program:ident: $($input:ident)* => $($output:ident)*) => {{
        let mut times = vec![];
        let mut sizes = vec![];
        for _ in 0..$runs {
            let mut program = $program::default();
            $(program.$input = load(&mut $facts, stringify!($input));)*
            times.push(spent(|| program.run()));
            sizes = vec![$((stringify!($output), program.$output.len())),*];
            // At the end the system is faster than taking it apart.
            if times.len() == $runs {
                std::mem::forget(program);
            }
        }
        (times, sizes)
    }};
}

fn run(program: &str, mut facts: Facts, runs: usize) -> (Vec<Spent>, Vec<(&'static str, usize)>) {
    match program {
        "tc" => evaluate!(facts, runs, Closure: edge => tc),
        "tcn" => evaluate!(facts, runs, NonLinearClosure: edge => tc),
        "sg" => evaluate!(facts, runs, SameGeneration: edge => sg),
        "triangle" => evaluate!(facts, runs, Triangle: edge => tri),
        "unreach" => evaluate!(facts, runs, Unreach: edge => reach unreach outdeg),
        "andersen" => evaluate!(facts, runs, Andersen: addressOf assign load store => pointsTo),
        "cspa" => {
            evaluate!(facts, runs, Cspa: assign dereference => valueFlow valueAlias memoryAlias)
        }
        "rbac" => evaluate!(facts, runs, Rbac:
            member subgroup role_inherits grant_role parent role_perm banned deny
            => in_group has_role perm denied allow nfiles),
        "ovn" => evaluate!(facts, runs, Ovn: switch port attach rpeer disabled pgmember acl_deny
            => up rreach sreach blocked flow fanout),
        _ => panic!("no program `{program}`"),
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [program, folder, runs] = words.as_slice() else {
        panic!("usage: ascent PROGRAM FOLDER RUNS");
    };
    let facts = Facts::new(folder, &RESERVED);
    let (times, sizes) = run(program, facts, runs.parse().expect("a number of runs"));
    println!("{{\"sizes\":{},\"runs\":{}}}", sizes_json(&sizes), runs_json(&times));
}
