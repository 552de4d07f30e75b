fn main() {
    println!("{}", one::one(4) + two::two(5));
}
