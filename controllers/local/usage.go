package local

import (
	"fmt"
)

// UsageError says that a command was called wrongly.
type UsageError struct{ what string }

func usagef(format string, args ...any) error { return &UsageError{what: fmt.Sprintf(format, args...)} }

// Error says what to write instead.
func (e *UsageError) Error() string { return e.what }

// ExitCode is 2: the call is wrong, as opposed to what it was to do.
func (*UsageError) ExitCode() int { return 2 }

// ExitCode is 2 for invalid manifests too.
func (*InvalidError) ExitCode() int { return 2 }

// filesHelp is the description of the flag -f of both commands.
const filesHelp = `manifests with WebhookEndpoints and their Secrets: a file, a directory (searched for *.yaml, *.yml, *.json), or - for standard input; may be repeated`

// manifestPaths joins -f and what follows the flags: a shell expands "-f *.yaml" to a flag and arguments.
func manifestPaths(files, args []string) ([]string, error) {
	if len(files) == 0 {
		return nil, usagef("say which manifests: add -f FILE or -f DIRECTORY, such as -f config/samples")
	}
	return append(append([]string{}, files...), args...), nil
}
