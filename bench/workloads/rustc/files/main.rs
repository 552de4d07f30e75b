mod one;
mod two;

fn main() {
    println!("{}", one::sum(10) + two::sum(&[1, 2, 3]));
}
