package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/api"
	"github.com/rapport-engine/rapport/streams"
)

func (p *program) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Start the server",
		Long: `Takes events over HTTP and from Kafka, keeps the customers' profiles, runs the triggers and answers
recommendations. Without any configuration it starts a broker of its own, keeps everything in ./data and
listens on 127.0.0.1:8080. It stops cleanly at SIGINT and SIGTERM.`,
		Example: `  rapport serve
  rapport serve --config shop.yaml
  rapport serve --listen 127.0.0.1:0 --data /var/lib/rapport
  RAPPORT_KAFKA_BROKERS=k1:9092,k2:9092 RAPPORT_REDIS_ADDRS=r1:6379 rapport serve`,
		Args: cobra.NoArgs,
	}
	flags := newConfigFlags(cmd, "listen", "admin", "data", "rules", "kafka.brokers", "redis.addrs")
	accept := cmd.Flags().Bool("accept-log-loss", false, "go on where the log has lost records that the snapshots need, or is another one")
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(p.env)
		if err != nil {
			return err
		}
		if problems := cfg.TemplateProblems(); len(problems) > 0 {
			return &engine.ConfigError{Problems: problems}
		}
		return p.serve(cmd.Context(), cfg, *accept)
	})
	return cmd
}

// serve runs a server until ctx ends.
func (p *program) serve(ctx context.Context, cfg engine.Config, acceptLogLoss bool) error {
	log := slog.New(slog.NewTextHandler(p.stderr, nil))
	for _, w := range cfg.Warnings() {
		log.Warn(w.Text)
	}
	s, err := startServer(ctx, cfg, engine.Options{Logger: log, MessageLog: p.stdout, AcceptLogLoss: acceptLogLoss})
	if err != nil {
		return err
	}
	if admin := s.api.AdminAddr(); admin != "" {
		fmt.Fprintf(p.stderr, "metrics on http://%s/metrics\n", admin)
	}
	fmt.Fprintf(p.stderr, "listening on http://%s\n", s.api.Addr())
	reloading, cancel := context.WithCancel(ctx)
	defer cancel()
	reloads := make(chan struct{})
	go func() {
		defer close(reloads)
		reloadRules(reloading, s.engine.Engine, cfg.Rules, log)
	}()
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case <-s.engine.done:
	case <-s.apiDone:
	}
	cancel()
	<-reloads
	return s.stop()
}

// server is an engine and its HTTP API at work in this process.
type server struct {
	engine    *running
	api       *api.Server
	cancelAPI context.CancelFunc
	apiDone   chan struct{}
	apiErr    error // valid once apiDone is closed
}

// startServer listens and starts everything. The engine outlives ctx until
// stop, so that requests in flight are still answered.
func startServer(ctx context.Context, cfg engine.Config, opts engine.Options) (*server, error) {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	opts.Registerer = metrics
	e, err := engine.New(cfg, opts)
	if err != nil {
		return nil, err
	}
	a, err := newAPI(cfg, e, opts.Logger, metrics)
	if err != nil {
		return nil, err
	}
	if err := a.Listen(); err != nil {
		return nil, err
	}
	apiCtx, cancel := context.WithCancel(ctx)
	s := &server{api: a, cancelAPI: cancel, apiDone: make(chan struct{})}
	s.engine = run(context.WithoutCancel(ctx), e)
	go func() {
		defer close(s.apiDone)
		s.apiErr = a.Run(apiCtx)
	}()
	return s, nil
}

func newAPI(cfg engine.Config, e *engine.Engine, log *slog.Logger, metrics *prometheus.Registry) (*api.Server, error) {
	return api.New(e, api.Options{
		Listen: cfg.Listen, AdminListen: cfg.Admin,
		Keys: api.Keys(cfg.Keys), CORSOrigins: cfg.CORS.Origins, IdentitySecret: cfg.IdentitySecret, Secret: cfg.Secret,
		Decoder: &streams.Decoder{Region: cfg.Region}, CartTTL: cfg.CartTTL,
		Logger: log, Registerer: metrics, Gatherer: metrics,
	})
}

// stop ends the intake first and the engine, which holds what was taken in,
// last.
func (s *server) stop() error {
	s.cancelAPI()
	<-s.apiDone
	return errors.Join(s.apiErr, s.engine.stop())
}
