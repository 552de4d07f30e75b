# A small history, always the same one.
set -e
rm -rf repository
git init --quiet --initial-branch=main repository
cd repository
for number in $(seq 15); do
    seq "$number" $((number * 50)) >"file$((number % 5))"
    git add .
    git commit --quiet --message="commit $number"
done
git checkout --quiet -b side HEAD~5
echo side >side
git add side
git commit --quiet --message=side
git checkout --quiet main
git merge --quiet --no-edit side
git log --oneline --stat | tail -n 20
git status --short
git -c pack.threads=1 repack -q -a -d
git fsck --no-progress
