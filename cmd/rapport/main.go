// Command rapport is the whole product in one binary: the server, its checks,
// replays of recorded behaviour and a demonstration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage, config or rules
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.Environ()}
	p.self, _ = os.Executable()
	addThread()
	ballast := newBallast()
	code := p.run(ctx, os.Args[1:])
	runtime.KeepAlive(ballast)
	stop()
	os.Exit(code) //nolint:gocritic // stop ran just before
}

// program is the surroundings of one run of the command.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            []string
	self           string // this executable, for processes beside this one; "" in tests: none
	started        bool   // a command's own code ran: errors before are wrong usage
}

// run executes one command and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(goFlags(args))
	command, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errReported):
		return exitUsage
	case errors.Is(err, errDiffers):
		return exitFailed
	case !p.started:
		fmt.Fprintf(p.stderr, "rapport: %v\nrun '%s --help' for usage\n", err, command.CommandPath())
		return exitUsage
	}
	var usage *usageError
	var config *engine.ConfigError
	var problems rules.Problems
	switch {
	case errors.As(err, &config), errors.As(err, &problems):
		fmt.Fprintln(p.stderr, err)
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(p.stderr, "rapport: %v\nrun '%s --help' for usage\n", err, command.CommandPath())
		return exitUsage
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(p.stderr, "rapport: interrupted")
	default:
		fmt.Fprintf(p.stderr, "rapport: %v\n", err)
	}
	return exitFailed
}

// goFlags lets -rewrite be written as tests in Go write it.
func goFlags(args []string) []string {
	args = slices.Clone(args)
	for i := range args {
		if args[i] == "-rewrite" {
			args[i] = "--rewrite"
		}
	}
	return args
}

// errReported ends a command that has printed what is wrong already.
var errReported = errors.New("problems were found")

// usageError is wrong usage that only the command's own code can see.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}
