// Package steady repeats calls while the servers behind them may be killed. A call that is not served is
// made again; any other error is a loss. It says how many were answered and how long a caller waited.
package steady

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	callMax = 5 * time.Second
	// How long a caller may go without an answer, and how long after the end of the faults: the nodes
	// elect new leaders, and a front is started again.
	gapMax = 15 * time.Second
	// How many losses are told.
	lossesMax = 10
)

// NotServed says that a call was not served and is to be made again.
type NotServed struct{ Reason string }

func (n NotServed) Error() string { return n.Reason }

// Calls are the outcomes of a kind of call.
type Calls struct {
	ok, repeated int
	// The longest time between two answers.
	gap time.Duration
	// Why calls were repeated, with counts.
	reasons map[string]int
}

// Run is a run of calls.
type Run struct {
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
	mutex  sync.Mutex
	kinds  map[string]*Calls
	losses []string
}

// Start starts a run of that length.
func Start(length time.Duration) *Run {
	ctx, cancel := context.WithTimeout(context.Background(), length)
	return &Run{ctx: ctx, cancel: cancel, kinds: map[string]*Calls{}}
}

// Keep makes a call of a kind over and over, with a pause after each, until the run ends.
func (r *Run) Keep(kind string, pause time.Duration, call func(context.Context) error) {
	r.wait.Go(func() {
		answered := time.Now()
		for r.ctx.Err() == nil {
			ctx, cancel := context.WithTimeout(r.ctx, callMax)
			err := call(ctx)
			cancel()
			if r.ctx.Err() == nil {
				r.count(kind, err, time.Since(answered))
				if err == nil {
					answered = time.Now()
				}
			}
			select {
			case <-r.ctx.Done():
			case <-time.After(pause):
			}
		}
		r.waited(kind, time.Since(answered))
	})
}

func (r *Run) count(kind string, err error, since time.Duration) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	calls := r.of(kind)
	var notServed NotServed
	switch {
	case err == nil:
		calls.ok++
		calls.gap = max(calls.gap, since)
	case errors.As(err, &notServed):
		calls.repeated++
		calls.reasons[notServed.Reason]++
	case len(r.losses) < lossesMax:
		r.losses = append(r.losses, fmt.Sprintf("%s: %v", kind, err))
	}
}

func (r *Run) waited(kind string, since time.Duration) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	calls := r.of(kind)
	calls.gap = max(calls.gap, since)
}

func (r *Run) of(kind string) *Calls {
	calls, known := r.kinds[kind]
	if !known {
		calls = &Calls{reasons: map[string]int{}}
		r.kinds[kind] = calls
	}
	return calls
}

// End waits until the run has ended, prints what happened, and fails if something was lost, if no call of
// a kind was answered, or if a caller waited too long.
func (r *Run) End() error {
	r.wait.Wait()
	r.cancel()
	var faults []error
	for kind, calls := range r.kinds {
		fmt.Printf("  %s: %d answered, %d repeated, longest wait %v\n",
			kind, calls.ok, calls.repeated, calls.gap.Round(time.Millisecond))
		for reason, count := range calls.reasons {
			fmt.Printf("    %d repeated: %s\n", count, reason)
		}
		if calls.ok == 0 {
			faults = append(faults, fmt.Errorf("no %s were answered", kind))
		}
		if calls.gap > gapMax {
			faults = append(faults, fmt.Errorf("%s waited %v", kind, calls.gap))
		}
	}
	for _, loss := range r.losses {
		faults = append(faults, fmt.Errorf("lost: %s", loss))
	}
	return errors.Join(faults...)
}
