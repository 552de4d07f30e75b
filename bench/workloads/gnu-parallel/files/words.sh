set -e
mkdir -p out
ls texts | parallel --will-cite -j2 -k 'tr -s " " "\n" <texts/{} | sort | uniq -c >out/{}; wc -l <out/{}'
