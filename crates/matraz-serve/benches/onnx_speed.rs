//! Rows a second of the interpreter on one thread.
//!
//!     cargo bench -p matraz-serve -- MODEL.onnx COLUMNS      the graph alone
//!     cargo bench -p matraz-serve -- DIRECTORY BODY.json     whole answers of the scoring protocol
//!
//! The model must take one table of 32-bit floats. Rows are drawn by a fixed rule, uniform between -2 and 2. Where
//! the system tells (Linux), the processor time of the thread is measured, so that other work on the machine
//! counts little.

#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]
#![expect(clippy::expect_used, reason = "a wrong call ends the measurement")]

use std::path::Path;
use std::time::{Duration, Instant};

use matraz_serve::onnx::{Data, Tensor, load};

/// Seconds that this thread has been on a processor; the system counts in steps of some milliseconds.
fn processor_time(start: Instant) -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()))
        .map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds * 1e-9)
}

fn table(rows: usize, columns: usize) -> Tensor {
    let mut state = 1u64;
    let values = (0..rows * columns).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 * 4.0 - 2.0
    });
    Tensor::new(vec![rows, columns], Data::F32(values.collect())).expect("the shape fits")
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|text| text != "--bench").collect();
    let [model, columns] = arguments.as_slice() else {
        println!("give a model and its number of columns");
        return;
    };
    let start = Instant::now();
    if Path::new(model).is_dir() {
        return answers(Path::new(model), Path::new(columns), start);
    }
    let columns = columns.parse().expect("a number of columns");
    let model = load(Path::new(model)).expect("a model");
    println!("load: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let name = model.inputs()[0].name.clone();
    for rows in [1, 10, 100, 1000, 10_000] {
        // Small batches are different ones in turn, so that no branch and no cache line is known beforehand.
        let batches = (1000 / rows).max(1);
        let all = table(rows * batches, columns);
        let Data::F32(values) = all.data() else { return };
        let tables: Vec<Tensor> = values
            .chunks_exact(rows * columns)
            .map(|part| Tensor::new(vec![rows, columns], Data::F32(part.to_vec())).expect("the shape fits"))
            .collect();
        let mut passes = 0;
        let before = processor_time(start);
        let until = Instant::now() + Duration::from_secs(4);
        while Instant::now() < until {
            for table in &tables {
                let feed = vec![(name.clone(), table.clone())];
                std::hint::black_box(model.run(feed).expect("an answer"));
            }
            passes += batches;
        }
        let each = (processor_time(start) - before) / passes as f64;
        println!("{rows:6} rows: {:9.1} us, {:9.0} rows/s", each * 1e6, rows as f64 / each);
    }
}

fn answers(directory: &Path, body: &Path, start: Instant) {
    let model = matraz_serve::Model::load(directory).expect("a model directory");
    let body = std::fs::read(body).expect("a body");
    let mut passes = 0;
    let before = processor_time(start);
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        std::hint::black_box(model.predict(&body, "application/json").expect("an answer"));
        passes += 1;
    }
    let each = (processor_time(start) - before) / f64::from(passes);
    println!("{} bytes: {:9.1} us", body.len(), each * 1e6);
}
