"""The recorder in the kernel: compiling, loading, attaching and emptying the BPF probes."""
