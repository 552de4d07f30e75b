pub fn two(n: u32) -> u32 {
    n * 2
}
