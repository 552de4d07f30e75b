// Starts programs in the ways of Go: one after another, many at a time, in another directory, and
// in its own place.
//
// usage: spawner DIRECTORY
// Prints the exit status of DIRECTORY/hit-7 to hit-14 and of hit-15, and becomes hit-9.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

func status(path string, directory string) int {
	command := exec.Command(path, "argument")
	command.Dir = directory
	_ = command.Run()
	return command.ProcessState.ExitCode()
}

func main() {
	var group sync.WaitGroup
	var statuses [8]int
	for i := range statuses {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			statuses[i] = status(fmt.Sprintf("%s/hit-%d", os.Args[1], 7+i), "")
		}(i)
	}
	group.Wait()
	fmt.Println(statuses, status(os.Args[1]+"/hit-15", "/"))
	fmt.Println(syscall.Exec(os.Args[1]+"/hit-9", []string{"hit-9"}, os.Environ()))
}
