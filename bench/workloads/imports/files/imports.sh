# One start of Python after another.
for number in $(seq 20); do
    python3 program.py "$number"
done
