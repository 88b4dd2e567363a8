//! Rows a second of the interpreter on one thread.
//!
//!     cargo bench -p matraz-serve -- MODEL.onnx COLUMNS
//!
//! The model must take one table of 32-bit floats. Rows are drawn by a fixed rule, uniform between -2 and 2.

#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]
#![expect(clippy::expect_used, reason = "a wrong call ends the measurement")]

use std::path::Path;
use std::time::{Duration, Instant};

use matraz_serve::onnx::{Data, Tensor, load};

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
    let columns = columns.parse().expect("a number of columns");
    let start = Instant::now();
    let model = load(Path::new(model)).expect("a model");
    println!("load: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let name = model.inputs()[0].name.clone();
    for rows in [1, 10, 100, 1000, 10_000] {
        let x = table(rows, columns);
        let mut best = f64::INFINITY;
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            let feed = vec![(name.clone(), x.clone())];
            let start = Instant::now();
            std::hint::black_box(model.run(feed).expect("an answer"));
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("{rows:6} rows: best {:9.1} us, {:9.0} rows/s", best * 1e6, rows as f64 / best);
    }
}
