//go:build integration

package clients

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const deadline = 60 * time.Second

// missing skips the test, or fails it where everything is required.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("RAPPORT_INTEGRATION") == "required" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

func requireProgram(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		missing(t, "%s is not installed: %v", name, err)
	}
}

// chromium is the browser's program.
func chromium() string {
	if name := os.Getenv("CHROMIUM"); name != "" {
		return name
	}
	return "/usr/bin/chromium"
}

// packages is a directory with the scripts of this package and the clients that they import.
type packages string

// installPackages installs the clients by package-lock.json, once, in the user's cache directory.
func installPackages(t *testing.T) packages {
	t.Helper()
	requireProgram(t, "node")
	requireProgram(t, "npm")
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "rapport", "clients-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	scripts, _ := filepath.Glob("*.mjs")
	for _, name := range append(scripts, "package.json", "package-lock.json") {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// npm writes this file last, so that an interrupted installation is begun again.
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err == nil {
		return packages(dir)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = dir
	if output, err := npm.CombinedOutput(); err != nil {
		missing(t, "cannot install the clients: %v\n%s", err, output)
	}
	return packages(dir)
}

// run runs one script to its end and returns what it printed.
func (p packages) run(t *testing.T, script string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	command.Dir, command.Stderr = string(p), &stderr
	command.Env = append(os.Environ(), "CHROMIUM="+chromium())
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, stderr.Bytes())
	}
	return output
}

// server is a running "rapport serve".
type server struct{ url string }

// startServer builds the program and runs it on a free port, with keys, until the test ends.
func startServer(t *testing.T) server {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "rapport")
	build := exec.Command("go", "build", "-o", binary, "github.com/rapport-engine/rapport/cmd/rapport")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build: %v\n%s", err, output)
	}
	command := exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", t.TempDir())
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(), "RAPPORT_KEYS_WRITE="+writeKey, "RAPPORT_KEYS_READ="+readKey)
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	var output strings.Builder
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&output, lines.Text())
			if _, address, ok := strings.Cut(lines.Text(), "listening on "); ok && len(listening) == 0 {
				listening <- strings.Trim(strings.Fields(address)[0], `"`)
			}
		}
	})
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		reading.Wait()
		if err := command.Wait(); err != nil {
			t.Errorf("the server ended: %v", err)
		}
		if t.Failed() {
			t.Logf("the server printed:\n%s", output.String())
		}
	})
	select {
	case address := <-listening:
		return server{url: address}
	case <-time.After(deadline):
		t.Fatal("the server does not say where it listens")
	}
	return server{}
}

// eventually asks for a customer's profile until check expects nothing more of it.
func (s server) eventually(t *testing.T, id string, check func(*profile, *expect)) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for {
		open := expect{}
		p, err := s.profile(ctx, id)
		if err != nil {
			open.that(false, "%v", err)
		} else if check(p, &open); len(open) == 0 {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("%s does not show what was sent:\n%s", id, strings.Join(open, "\n"))
		}
	}
}

func (s server) profile(ctx context.Context, id string) (*profile, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v1/profiles/"+url.PathEscape(id), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+readKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answer %s", response.Status)
	}
	p := &profile{}
	return p, json.NewDecoder(response.Body).Decode(p)
}
