package main

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rapport-engine/rapport/bench/accuracy"
	"github.com/rapport-engine/rapport/recommender"
)

// evalOptions are the flags of eval.
type evalOptions struct {
	accuracy.Options
	only []string
	set  []string
	json *bool
}

func (p *program) evalCommand() *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "eval --protocol NAME DIR|FILE",
		Short: "Measure how well recommendations predict recorded sessions",
		Long: `Teaches the recommender recorded sessions, asks it what comes next in others, and prints how often
and how high it had what came: beside VMIS-kNN, VS-kNN, sequential rules and popularity, measured in the same
run, and beside published figures for the same data. The policy on repeats is always printed: it decides the
scale of the figures.

Protocols, with the files that they read (each may end in .zst):
  session-rec    train_full.txt, test.txt: SessionId, ItemId, Time with tabs; for --valid train_tr.txt, train_valid.txt
  serenade       train.txt, test.txt, valid.txt of the same form
  srgnn          train_sessions.txt, test.tsv: sessions, then prefixes and the next item
  leave-one-out  a .txt file: a user and their items a line; the last one is asked for
  prequential    any file of events that replay reads: each view is asked for, then learned

Parameters are to be chosen with --valid and --set, never on the test split.`,
		Example: `  rapport eval --protocol serenade data/serenade-example
  rapport eval --protocol session-rec --live --repeats exclude data/rsc15-100k
  rapport eval --protocol prequential ga360-events.csv.zst --json
  rapport eval --protocol serenade --valid --models rapport --set Depth=256 data/serenade-example`,
		Args: cobra.ExactArgs(1),
	}
	o.json = jsonFlag(cmd)
	set := cmd.Flags()
	set.StringVar(&o.Protocol, "protocol", "", "one of "+strings.Join(accuracy.Protocols(), ", "))
	set.BoolVar(&o.Live, "live", false, "learn each test click after it was asked for")
	set.StringVar(&o.Repeats, "repeats", "", "whether the current item may be answered: allow or exclude (default as the protocol has it)")
	set.IntVar(&o.First, "first", 0, "count only the first so many predictions (0: all)")
	set.IntVar(&o.K, "k", 0, "length of the lists (default 20, for leave-one-out 10)")
	set.BoolVar(&o.Valid, "valid", false, "measure on the validation split, to choose parameters")
	set.BoolVar(&o.OnlyViews, "only-views", false, "of events, tell all models views alone; else some also where customers go and what else they do")
	set.StringSliceVar(&o.only, "models", nil, "measure only these of rapport, vmis, vsknn, sr, pop; of events also sr-items, sr-all: rules that begin at whatever was done with an item, or at pages, too")
	set.StringArrayVar(&o.set, "set", nil, "a parameter of the strategy session, as `Name=value`; may be repeated")
	_ = cmd.RegisterFlagCompletionFunc("protocol", cobra.FixedCompletions(accuracy.Protocols(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = p.runs(func(cmd *cobra.Command, args []string) error {
		o.Path = args[0]
		return p.eval(cmd.Context(), &o)
	})
	return cmd
}

func (p *program) eval(ctx context.Context, o *evalOptions) error {
	if err := o.Check(); err != nil {
		if errors.Is(err, accuracy.ErrOptions) {
			return usagef("%v", err)
		}
		return err
	}
	params, err := sessionParams(o.set)
	if err != nil {
		return err
	}
	models, err := chosen(accuracy.Models(&o.Options, params), o.only)
	if err != nil {
		return err
	}
	report, err := accuracy.Eval(ctx, &o.Options, models)
	if err != nil {
		return err
	}
	if *o.json {
		return p.printJSON(report)
	}
	return report.Write(p.stdout)
}

// chosen leaves the models that are named, all when none is.
func chosen(all []accuracy.Model, names []string) ([]accuracy.Model, error) {
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, m := range all {
		known = append(known, m.Name())
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, usagef("--models: must be of %s, not %q", strings.Join(known, ", "), name)
		}
	}
	return slices.DeleteFunc(all, func(m accuracy.Model) bool { return !slices.Contains(names, m.Name()) }), nil
}

// sessionParams reads Name=value pairs.
func sessionParams(set []string) (recommender.SessionParams, error) {
	var params recommender.SessionParams
	v := reflect.ValueOf(&params).Elem()
	for _, pair := range set {
		name, text, _ := strings.Cut(pair, "=")
		value, err := strconv.ParseFloat(text, 64)
		field := v.FieldByName(name)
		if err != nil || !field.IsValid() {
			return params, usagef("--set: must be Name=number with a field of SessionParams, not %q", pair)
		}
		if field.Kind() == reflect.Int {
			field.SetInt(int64(value))
		} else {
			field.SetFloat(value)
		}
	}
	return params, nil
}
