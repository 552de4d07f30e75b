set -e
export GOCACHE="$PWD/.cache"
# The checkout around it is not to be stamped into the program.
export GOFLAGS=-buildvcs=false
go build ./...
go build -o parts .
