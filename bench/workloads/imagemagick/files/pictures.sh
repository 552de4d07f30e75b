set -e
PATH=/usr/bin:/bin
for n in 1 2 3 4; do
    convert -size 200x200 gradient:red-blue -rotate $((n * 30)) -define png:exclude-chunks=date,time -strip picture$n.png
    convert picture$n.png -resize 50x50 -define png:exclude-chunks=date,time -strip small$n.png
done
convert small*.png +append -define png:exclude-chunks=date,time -strip all.png
identify -format "%w %h\n" all.png
