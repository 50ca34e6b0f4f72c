package greeting

import (
	"errors"
	"syscall"
	"testing"
)

func TestTheServerGreetsThroughTheNAT(t *testing.T) {
	line, err := Of("server:80")
	if err != nil {
		t.Fatal(err)
	}
	if line != "Hello from the server." {
		t.Errorf("it said %q", line)
	}
}

func TestAPortWhereNobodyListensIsRefused(t *testing.T) {
	if _, err := Of("server:81"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("not refused: %v", err)
	}
}
