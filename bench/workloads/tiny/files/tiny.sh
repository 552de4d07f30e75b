# 500 executions, none of which takes longer than starting it.
mkdir -p out
number=1
while [ $number -lt 100 ]; do
    expr $number + 1
    basename "/some/path/$number.txt" .txt
    cp data "out/$number"
    touch "out/$number.stamp"
    /bin/true "$number"
    number=$((number + 1))
done
rm out/1 out/2
chmod 600 out/3
ln -s 3 out/link
wc -c out/3
