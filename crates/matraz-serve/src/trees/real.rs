//! 32-bit and 64-bit floats as the numbers of trees and scores.

/// The numbers that scores are summed in.
pub(crate) trait Real:
    Copy
    + PartialOrd
    + Default
    + Send
    + Sync
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Neg<Output = Self>
    + std::ops::AddAssign
    + std::ops::DivAssign
    + std::ops::MulAssign
{
    const ONE: Self;
    const INFINITY: Self;
    const NAN: Self;
    const LOWEST: Self;
    fn from_f32(x: f32) -> Self;
    fn from_f64(x: f64) -> Self;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    fn from_count(n: usize) -> Self;
    fn exp(self) -> Self;
    fn is_nan(self) -> bool;
    fn next_down(self) -> Self;
}

macro_rules! real {
    ($type:ty) => {
        impl Real for $type {
            const ONE: Self = 1.0;
            const INFINITY: Self = <$type>::INFINITY;
            const NAN: Self = <$type>::NAN;
            const LOWEST: Self = <$type>::MIN;
            fn from_f32(x: f32) -> Self {
                x.into()
            }
            fn from_f64(x: f64) -> Self {
                x as Self
            }
            fn to_f32(self) -> f32 {
                self as f32
            }
            fn to_f64(self) -> f64 {
                self.into()
            }
            fn from_count(n: usize) -> Self {
                n as Self
            }
            fn exp(self) -> Self {
                self.exp()
            }
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            fn next_down(self) -> Self {
                self.next_down()
            }
        }
    };
}
real!(f32);
real!(f64);
