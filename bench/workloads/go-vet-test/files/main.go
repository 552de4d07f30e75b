package main

import (
	"fmt"
	"strings"

	"example.org/parts/one"
)

func main() {
	fmt.Println(strings.Repeat("x", one.Sum(2)))
}
