pub fn one(n: u32) -> u32 {
    (0..n).sum()
}
