package parts;

public class Sum {
    public static int of(int n) {
        return n * (n + 1) / 2;
    }

    public static void main(String[] args) {
        System.out.println(of(args.length + 10));
    }
}
