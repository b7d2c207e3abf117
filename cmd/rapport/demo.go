package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rapport-engine/rapport/bench/retailer"
	"github.com/rapport-engine/rapport/engine"
)

// demoOptions are the flags of demo.
type demoOptions struct {
	once     bool
	seed     uint64
	shoppers int
	duration time.Duration
	listen   string
}

func (p *program) demoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See Rapport at work with a simulated shop; nothing to set up",
		Long: `Simulates a shop of our own invention: some hundred products, some thousand shoppers who move between the
web site, the app, the till, the call centre and a messenger. Two of the shop's days pass in half a minute,
through the real engine and its real HTTP API. You see events come in, one shopper's profile grow across
channels, messages fire, and recommendations with their reasons. Then it keeps serving, for you to try.

Nothing leaves this machine, and nothing is kept.`,
		Example: `  rapport demo
  rapport demo --once                   exit when the two days are over
  rapport demo --seed 7 --duration 60s  other shoppers, slower`,
		Args: cobra.NoArgs,
	}
	set := cmd.Flags()
	set.BoolVar(&o.once, "once", false, "exit when the simulation is over instead of serving on")
	set.Uint64Var(&o.seed, "seed", 1, "`number` that the shop is invented from")
	set.IntVar(&o.shoppers, "shoppers", 6000, "how many shoppers, 100 to 200000")
	set.DurationVar(&o.duration, "duration", 30*time.Second, "how long the two days take")
	set.StringVar(&o.listen, "listen", "", "address to serve on (default 127.0.0.1:8080, or the next free port)")
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error {
		if o.shoppers < 100 || o.shoppers > 200_000 {
			return usagef("--shoppers: must be 100 to 200000, not %d", o.shoppers)
		}
		if o.duration < time.Second || o.duration > time.Hour {
			return usagef("--duration: must be 1s to 1h, not %v", o.duration)
		}
		return p.demo(cmd.Context(), &o)
	})
	return cmd
}

func (p *program) demo(ctx context.Context, o *demoOptions) (err error) {
	dir, err := os.MkdirTemp("", "rapport-demo-")
	if err != nil {
		return fmt.Errorf("cannot make a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := p.demoServer(ctx, o, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	shop := retailer.New(retailer.Config{Seed: o.seed, Shoppers: o.shoppers, Start: demoStart(time.Now())})
	d := newDemo(p, s, shop, o)
	d.introduce()
	if err := d.play(ctx); err != nil {
		return err
	}
	if err := d.conclude(ctx); err != nil || o.once {
		return err
	}
	d.invite()
	select {
	case <-ctx.Done():
		fmt.Fprintln(p.stdout, "\nBye.")
	case <-s.engine.done:
	case <-s.apiDone:
	}
	return nil
}

// demoStart is midnight two days ago in the shop's zone, so that the two days
// are over and what you send afterwards comes after them.
func demoStart(now time.Time) time.Time {
	zone, err := time.LoadLocation(retailer.Timezone)
	if err != nil {
		zone = time.UTC
	}
	y, m, d := now.In(zone).Date()
	return time.Date(y, m, d-2, 0, 0, 0, 0, zone)
}

// demoPorts is how many ports are tried, from 8080 on.
const demoPorts = 20

// demoServer starts the whole of Rapport on the address asked for, or on the
// first free port.
func (p *program) demoServer(ctx context.Context, o *demoOptions, dir string) (*server, error) {
	cfg := engine.DefaultConfig()
	cfg.Data, cfg.Rules, cfg.Admin = dir, filepath.Join(dir, "rules"), ""
	cfg.Partitions, cfg.SessionTimeout = 4, 5*time.Minute
	cfg.Timezone, cfg.Currency = retailer.Timezone, retailer.Currency
	opts := engine.Options{Logger: p.errorsOnly(), MessageLog: io.Discard, Volatile: true}
	if o.listen != "" {
		cfg.Listen = o.listen
		return startServer(ctx, cfg, opts)
	}
	for port := 8080; ; port++ {
		cfg.Listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		s, err := startServer(ctx, cfg, opts)
		if errors.Is(err, syscall.EADDRINUSE) && port < 8080+demoPorts {
			fmt.Fprintf(p.stdout, "Port %d is taken by another program; trying %d.\n", port, port+1)
			continue
		}
		return s, err
	}
}

// play lets the two days pass.
func (d *demo) play(ctx context.Context) error {
	if err := d.server.engine.ready(ctx); err != nil {
		return err
	}
	if _, err := d.server.engine.PutItems(ctx, d.shop.Items()); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	g, watching := errgroup.WithContext(watching)
	g.Go(func() error { return d.server.engine.FollowMessages(watching, d.onMessages) })
	g.Go(func() error { return d.askAround(watching) })
	g.Go(func() error { return d.draw(watching) })
	err := d.drive(ctx)
	if err == nil {
		err = d.server.engine.WaitApplied(ctx)
	}
	if err == nil {
		err = d.allShown(ctx)
	}
	stop()
	return errors.Join(err, g.Wait())
}
