// Package architecture holds the rules of the house that a compiler does not know, as tests: who may import whom, what a
// package, a source folder and a buffer engine consist of, and how long a file or a function may get. Each failure says what to do.
package architecture
