int part0(int n);
int part1(int n);
int part2(int n);
