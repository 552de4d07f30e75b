package one

import "testing"

func TestSum(t *testing.T) {
	if Sum(3) != 6 {
		t.Fatal("wrong")
	}
}
