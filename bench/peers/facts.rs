//! What the Rust peers share: reading `.facts` files and reading clocks.
//!
//! Cells become 32-bit numbers before any clock starts: an integer is itself, every other text the
//! next number from `SYMBOLS` up.
use std::collections::HashMap;
use std::time::Instant;

pub const SYMBOLS: u32 = 1 << 30;

/// Cells behind the last column of a table are 0.
pub type Row = [u32; 3];

pub struct Facts {
    folder: String,
    symbols: HashMap<String, u32>,
}

impl Facts {
    /// `reserved`: texts that the rules name; the first becomes `SYMBOLS`, the next one more.
    pub fn new(folder: &str, reserved: &[&str]) -> Self {
        let mut facts = Facts { folder: folder.to_string(), symbols: HashMap::new() };
        for text in reserved {
            facts.cell(text);
        }
        facts
    }

    fn cell(&mut self, text: &str) -> u32 {
        if let Ok(number) = text.parse() {
            return number;
        }
        if let Some(symbol) = self.symbols.get(text) {
            return *symbol;
        }
        let symbol = SYMBOLS + self.symbols.len() as u32;
        self.symbols.insert(text.to_string(), symbol);
        symbol
    }

    pub fn row(&mut self, line: &str) -> Row {
        let mut row = [0; 3];
        for (cell, text) in row.iter_mut().zip(line.split('\t')) {
            *cell = self.cell(text);
        }
        row
    }

    pub fn rows(&mut self, table: &str) -> Vec<Row> {
        let file = format!("{}/{table}.facts", self.folder);
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        text.lines().map(|line| self.row(line)).collect()
    }
}

/// Milliseconds of the clock on the wall and of this thread on a processor.
#[derive(Clone, Copy, Default)]
pub struct Spent {
    pub wall_ms: f64,
    pub cpu_ms: f64,
}

pub fn spent(work: impl FnOnce()) -> Spent {
    let (started, cpu) = (Instant::now(), thread_cpu_ms());
    work();
    let cpu_ms = thread_cpu_ms() - cpu;
    Spent { wall_ms: started.elapsed().as_secs_f64() * 1e3, cpu_ms }
}

fn thread_cpu_ms() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // The call writes to the structure that it is given and to nothing else.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// `{"tc": 12}`
pub fn sizes_json(sizes: &[(&str, usize)]) -> String {
    let fields: Vec<String> =
        sizes.iter().map(|(table, rows)| format!("\"{table}\":{rows}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// `[{"wallMs": 1.5, "cpuMs": 1.4}]`
pub fn runs_json(runs: &[Spent]) -> String {
    let texts: Vec<String> = runs
        .iter()
        .map(|Spent { wall_ms, cpu_ms }| format!("{{\"wallMs\":{wall_ms},\"cpuMs\":{cpu_ms}}}"))
        .collect();
    format!("[{}]", texts.join(","))
}
