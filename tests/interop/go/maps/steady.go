package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pb "registry.example/interop/gen/maps"
)

const (
	steadyAgents   = 8
	steadyRepeatMs = 100
	// How long a caller may go without an answer, and how long after the end of the faults: the nodes
	// elect new leaders, and a front is started again.
	steadyGapMax = 15 * time.Second
)

// tally counts the outcomes of a kind of call.
type tally struct {
	ok, retried atomic.Int64
	// The longest time between two answers, ns.
	gap atomic.Int64
	// Why calls were repeated, by their text.
	reasons sync.Map
}

// because counts a call that has to be made again.
func (t *tally) because(reason string) {
	t.retried.Add(1)
	count, _ := t.reasons.LoadOrStore(reason, &atomic.Int64{})
	count.(*atomic.Int64).Add(1)
}

// lost collects what must not happen.
type lost struct {
	mutex sync.Mutex
	found []string
}

func (l *lost) add(format string, args ...any) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.found) < 10 {
		l.found = append(l.found, fmt.Sprintf(format, args...))
	}
}

// steady keeps a gateway and its agents registered, and a proxy resolving them, while nodes and fronts may
// be killed. Calls that are not served are repeated; but what was answered is never forgotten: once an agent
// is registered, it resolves.
func steady(c *client) {
	gateway := c.registerGateway(gatewayAt("192.0.2.50", 8))
	must(gateway.Error == nil, "the gateway is refused: %v", gateway.Error)
	for number := range steadyAgents {
		answer := c.registerAgent(steadyDomain(number), gateway.GatewayId, hash)
		must(answer.Error == nil, "the agent is refused: %v", answer.Error)
	}
	fmt.Println("registered")
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.seconds)*time.Second)
	defer cancel()
	var wait sync.WaitGroup
	var registers, resolves tally
	var losses lost
	run := func(counted *tally, call func(context.Context) (*pb.Error, error)) {
		wait.Go(func() { repeat(ctx, counted, &losses, call) })
	}
	run(&registers, func(ctx context.Context) (*pb.Error, error) {
		answer, err := c.maps.RegisterGateway(ctx, gatewayAt("192.0.2.50", 8))
		return answer.GetError(), err
	})
	for number := range steadyAgents {
		domain := steadyDomain(number)
		run(&registers, func(ctx context.Context) (*pb.Error, error) {
			answer, err := c.maps.RegisterAgent(ctx, &pb.AgentConnectionRequest{
				AgentDomain: domain, VerifiableCredHash: hash, GatewayId: gateway.GatewayId,
			})
			return answer.GetError(), err
		})
		run(&resolves, func(ctx context.Context) (*pb.Error, error) {
			answer, err := c.maps.ResolveGatewayForProxy(ctx, &pb.ProxyMapping{AgentDomain: domain})
			if err == nil && answer.Error == nil && answer.GatewayId != gateway.GatewayId {
				losses.add("%s resolves to %v", domain, answer)
			}
			return answer.GetError(), err
		})
	}
	wait.Wait()
	must(len(losses.found) == 0, "lost: %v", losses.found)
	for name, counted := range map[string]*tally{"registrations": &registers, "resolutions": &resolves} {
		longest := time.Duration(counted.gap.Load())
		fmt.Printf("  %s: %d answered, %d repeated, longest wait %v\n",
			name, counted.ok.Load(), counted.retried.Load(), longest.Round(time.Millisecond))
		counted.reasons.Range(func(reason, count any) bool {
			fmt.Printf("    %d repeated: %v\n", count.(*atomic.Int64).Load(), reason)
			return true
		})
		must(counted.ok.Load() > 0, "no %s were answered", name)
		must(longest < steadyGapMax, "%s waited %v", name, longest)
	}
}

// repeat calls until the context ends; a call that is not served is made again.
func repeat(
	ctx context.Context,
	counted *tally,
	losses *lost,
	call func(context.Context) (*pb.Error, error),
) {
	answered := time.Now()
	waited := func() {
		gap := int64(time.Since(answered))
		for known := counted.gap.Load(); gap > known; known = counted.gap.Load() {
			if counted.gap.CompareAndSwap(known, gap) {
				break
			}
		}
	}
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, 5*time.Second)
		refusal, err := call(one)
		cancel()
		switch {
		case ctx.Err() != nil:
		case err == nil && refusal == nil:
			waited()
			answered = time.Now()
			counted.ok.Add(1)
		case err != nil || refusal.Code == pb.ErrorCode_ERROR_CODE_UNAVAILABLE:
			counted.because(fmt.Sprint(err, refusal.GetMessage()))
		default:
			losses.add("%v", refusal)
		}
		time.Sleep(steadyRepeatMs * time.Millisecond)
	}
	waited()
}

func steadyDomain(number int) string {
	return fmt.Sprintf("steady-%d.example", number)
}
