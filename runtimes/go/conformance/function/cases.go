package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Case    string          `json:"case"`
	Value   json.RawMessage `json:"value"`
	Message string          `json:"message"`
	Status  int             `json:"status"`
	Seconds float64         `json:"seconds"`
	MB      int             `json:"mb"`
}

const pageBytes = 4096

var (
	count int
	ticks int64
	taken []byte
)

func cases(ctx context.Context, in event) (any, error) {
	switch in.Case {
	case "echo":
		return in.Value, nil
	case "null":
		return nil, nil
	case "fail":
		return nil, errors.New(in.Message)
	case "exit":
		os.Exit(in.Status)
	case "sleep":
		time.Sleep(time.Duration(in.Seconds * float64(time.Second)))
		return in.Seconds, nil
	case "spin":
		for {
		}
	case "allocate":
		return allocate(in.MB), nil
	case "print":
		printAll(ctx)
		return nil, nil
	case "remaining":
		return remaining(ctx), nil
	case "context":
		return contextOf(ctx), nil
	case "environment":
		return environment(), nil
	case "count":
		count++
		return count, nil
	case "ticks":
		return tick(), nil
	case "tmp":
		return tmp(in.Value)
	case "cwd":
		return cwd()
	case "child":
		return child()
	case "pid":
		return pid()
	}
	return nil, fmt.Errorf("there is no case %q", in.Case)
}

func allocate(mb int) int {
	taken = make([]byte, mb<<20)
	for at := 0; at < len(taken); at += pageBytes {
		taken[at] = 1
	}
	return mb
}

func printAll(ctx context.Context) {
	fmt.Println("to stdout")
	fmt.Fprintln(os.Stderr, "to stderr")
	found, _ := lambdacontext.FromContext(ctx)
	log.Printf("%s to the logger", found.AwsRequestID)
}

func remaining(ctx context.Context) int64 {
	deadline, _ := ctx.Deadline()
	return time.Until(deadline).Milliseconds()
}

func contextOf(ctx context.Context) map[string]any {
	found, _ := lambdacontext.FromContext(ctx)
	var custom any
	if len(found.ClientContext.Custom) > 0 {
		custom = found.ClientContext.Custom
	}
	return map[string]any{
		"request_id":            found.AwsRequestID,
		"function_name":         lambdacontext.FunctionName,
		"function_version":      lambdacontext.FunctionVersion,
		"invoked_function_arn":  found.InvokedFunctionArn,
		"memory_limit_in_mb":    lambdacontext.MemoryLimitInMB,
		"log_group_name":        lambdacontext.LogGroupName,
		"log_stream_name":       lambdacontext.LogStreamName,
		"client_context":        custom,
		"remaining_is_positive": remaining(ctx) > 0,
	}
}

func environment() map[string]string {
	all := map[string]string{}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		all[name] = value
	}
	return all
}

func tick() int64 {
	if atomic.LoadInt64(&ticks) == 0 {
		atomic.StoreInt64(&ticks, 1)
		go func() {
			for range time.Tick(10 * time.Millisecond) {
				atomic.AddInt64(&ticks, 1)
			}
		}()
	}
	return atomic.LoadInt64(&ticks)
}

func tmp(value json.RawMessage) (any, error) {
	const path = "/tmp/seen"
	_, missing := os.Stat(path)
	if err := os.WriteFile(path, value, 0o600); err != nil {
		return nil, err
	}
	read, err := os.ReadFile(path)
	return map[string]any{"read": json.RawMessage(read), "before": missing == nil}, err
}

func cwd() (any, error) {
	directory, err := os.Getwd()
	_, missing := os.Stat("marker.txt")
	return map[string]any{"cwd": directory, "listed": missing == nil}, err
}

func child() (int, error) {
	command := exec.Command("/bin/echo", "from a child")
	command.Stdout = os.Stdout
	err := command.Run()
	return command.ProcessState.ExitCode(), err
}

// pid asks a shell by name for each descriptor: listing them would open one.
func pid() (any, error) {
	script := "n=0; for fd in 3 4 5; do [ -e /proc/$$/fd/$fd ] && n=$((n + 1)); done; echo $n"
	printed, err := exec.Command("/bin/sh", "-c", script).Output()
	var inherited int
	fmt.Sscan(string(printed), &inherited)
	return map[string]any{"pid": os.Getpid(), "inherited": inherited}, err
}
