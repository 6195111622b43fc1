// Package queues puts client-go's workqueue and controller-runtime's priority queue to the work that ../../queue.rs does.
//
// Each benchmark reports nanoseconds a key ("ns/key"), as the other side's do when its time is divided by its keys. Queues
// measure themselves here (latency, work duration, depth), as they do in each operator that exports metrics, and as the other
// side always does; "bare" are those that don't.
package queues

import (
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	_ "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// As many as a cluster that is in use has of a kind.
const keyCount = 1_000

// Workers that drain a backlog together.
const workers = 64

// keys are what a controller queues; ten of them in a namespace.
func keys(count int) []reconcile.Request {
	requests := make([]reconcile.Request, count)
	for number := range requests {
		requests[number].NamespacedName = types.NamespacedName{
			Namespace: fmt.Sprintf("namespace-%d", number/10),
			Name:      fmt.Sprintf("application-%d", number),
		}
	}
	return requests
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

var serial atomic.Int64

// kinds are the queues under test, the first two of client-go, the last of controller-runtime.
var kinds = []struct {
	name string
	make func() queue
}{
	{"client-go-bare", func() queue {
		return workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	}},
	{"client-go", func() queue {
		return workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.DefaultTypedControllerRateLimiter[reconcile.Request](),
			workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: fmt.Sprintf("queue-%d", serial.Add(1))})
	}},
	{"priority-queue", func() queue {
		return priorityqueue.New[reconcile.Request](fmt.Sprintf("queue-%d", serial.Add(1)))
	}},
}

func each(b *testing.B, run func(b *testing.B, make func() queue)) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) { run(b, kind.make) })
	}
}

// perKey reports the time of one key, of count in each round.
func perKey(b *testing.B, count int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/key")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkCycle is client-go's own BenchmarkQueue: one key at a time goes all the way.
func BenchmarkCycle(b *testing.B) {
	each(b, func(b *testing.B, make func() queue) {
		keys := keys(100)
		q := make()
		defer q.ShutDown()
		for b.Loop() {
			for _, key := range keys {
				q.Add(key)
				key, _ := q.Get()
				q.Done(key)
			}
		}
		perKey(b, len(keys))
	})
}

// BenchmarkAddGetDone is controller-runtime's own: all keys in, then all out.
func BenchmarkAddGetDone(b *testing.B) {
	each(b, func(b *testing.B, make func() queue) {
		keys := keys(keyCount)
		q := make()
		defer q.ShutDown()
		for b.Loop() {
			for _, key := range keys {
				q.Add(key)
			}
			for range keys {
				key, _ := q.Get()
				q.Done(key)
			}
		}
		perKey(b, len(keys))
	})
}

// BenchmarkAddAgain adds keys that wait there already, which is what a burst of changes is.
func BenchmarkAddAgain(b *testing.B) {
	each(b, func(b *testing.B, make func() queue) {
		keys := keys(keyCount)
		q := make()
		defer q.ShutDown()
		for _, key := range keys {
			q.Add(key)
		}
		for b.Loop() {
			for _, key := range keys {
				q.Add(key)
			}
		}
		perKey(b, len(keys))
	})
}

// BenchmarkContended hands each key to one of 1,000 takers that wait.
func BenchmarkContended(b *testing.B) {
	each(b, func(b *testing.B, make func() queue) {
		keys := keys(keyCount)
		q := make()
		var round sync.WaitGroup
		for range 1_000 {
			go func() {
				for {
					key, shutdown := q.Get()
					if shutdown {
						return
					}
					q.Done(key)
					round.Done()
				}
			}()
		}
		for b.Loop() {
			round.Add(len(keys))
			for _, key := range keys {
				q.Add(key)
			}
			round.Wait()
		}
		q.ShutDown()
		perKey(b, len(keys))
	})
}

// BenchmarkAddAfter is client-go's own BenchmarkDelayingQueue_AddAfter: delays of up to ten minutes, then their end. Of
// controller-runtime's queue the clock can't be set, so that only client-go's is here.
func BenchmarkAddAfter(b *testing.B) {
	keys := keys(keyCount)
	b.Run("client-go-bare", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			clock := testingclock.NewFakeClock(time.Now())
			q := workqueue.NewTypedDelayingQueueWithConfig(
				workqueue.TypedDelayingQueueConfig[reconcile.Request]{Clock: clock})
			b.StartTimer()
			for _, key := range keys {
				q.AddAfter(key, time.Duration(rand.Int63n(int64(10*time.Minute))))
			}
			clock.Step(11 * time.Minute)
			for range keys {
				key, _ := q.Get()
				q.Done(key)
			}
			b.StopTimer()
			q.ShutDown()
			b.StartTimer()
		}
		perKey(b, len(keys))
	})
}

// BenchmarkBacklog fills a queue at once, and has 64 workers drain it.
func BenchmarkBacklog(b *testing.B) {
	for _, count := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			each(b, func(b *testing.B, make func() queue) {
				keys := keys(count)
				for range b.N {
					b.StopTimer()
					q := make()
					for _, key := range keys {
						q.Add(key)
					}
					for q.Len() < count {
						time.Sleep(time.Millisecond)
					}
					var left atomic.Int64
					left.Store(int64(count))
					var all sync.WaitGroup
					b.StartTimer()
					for range workers {
						all.Go(func() {
							for left.Add(-1) >= 0 {
								key, _ := q.Get()
								q.Done(key)
							}
						})
					}
					all.Wait()
					b.StopTimer()
					q.ShutDown()
					b.StartTimer()
				}
				perKey(b, count)
			})
		})
	}
}
