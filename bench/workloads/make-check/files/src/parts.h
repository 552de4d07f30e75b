int part0(int n);
int part1(int n);
int part2(int n);
int part3(int n);
int part4(int n);
int part5(int n);
