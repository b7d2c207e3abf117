package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
)

// reloadEvery is how often the rules' directory is looked at.
const reloadEvery = 2 * time.Second

// reloadRules takes up changed rules at SIGHUP and when a file has changed,
// until ctx ends. Rules that are not valid change nothing.
func reloadRules(ctx context.Context, e *engine.Engine, dir string, log *slog.Logger) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	seen := fingerprint(dir)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		case <-ticker.C:
			if now := fingerprint(dir); now == seen {
				continue
			}
		}
		seen = fingerprint(dir)
		set, err := rules.Load(dir)
		if err != nil {
			log.Error("the rules are not valid; what ran before goes on", "problems", err)
			continue
		}
		if err := e.SetRules(ctx, set); err != nil {
			log.Error("the rules cannot be put in force; what ran before goes on, and this is tried again", "error", err)
			seen = ""
			continue
		}
		log.Info("the rules have changed", "triggers", len(set.Triggers()))
	}
}

// fingerprint changes when a rules file does.
func fingerprint(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "*.yaml"))
	var b strings.Builder
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}
