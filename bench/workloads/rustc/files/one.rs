pub fn sum(n: u32) -> u32 {
    (0..n).map(|i| i * i).sum()
}
