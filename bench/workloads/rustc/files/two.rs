pub fn sum(of: &[u32]) -> u32 {
    of.iter().sum()
}
