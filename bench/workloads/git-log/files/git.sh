set -e
git init -q repository
cd repository
for f in a b; do
    cp ../$f.txt .
    git add $f.txt
    git commit -q -m "add $f"
done
git log --oneline --stat >../log.txt
git archive --format=tar HEAD | sha256sum >../sum.txt
