// One of two peers that look for each other by pion's ICE, candidates over netlab's exchange:
//
//	pion NAME STUN EXCHANGE
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v3"
)

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	name, server, exchange := os.Args[1], os.Args[2], os.Args[3]
	uri, err := stun.ParseURI("stun:" + server)
	must(err)
	agent, err := ice.NewAgent(&ice.AgentConfig{
		Urls:         []*stun.URI{uri},
		NetworkTypes: []ice.NetworkType{ice.NetworkTypeUDP4},
	})
	must(err)
	line, err := net.Dial("tcp", exchange)
	must(err)
	user, password, err := agent.GetLocalUserCredentials()
	must(err)
	fmt.Fprintf(line, "%s\n%s\n", user, password)
	gathered := make(chan struct{})
	must(agent.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			close(gathered)
			return
		}
		fmt.Fprintln(line, c.Marshal())
	}))
	must(agent.GatherCandidates())
	<-gathered
	fmt.Fprintln(line)
	reader := bufio.NewReader(line)
	next := func() string {
		text, err := reader.ReadString('\n')
		must(err)
		return strings.TrimSpace(text)
	}
	remoteUser, remotePassword := next(), next()
	for text := next(); text != ""; text = next() {
		candidate, err := ice.UnmarshalCandidate(text)
		must(err)
		must(agent.AddRemoteCandidate(candidate))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var conn *ice.Conn
	if name == "a" {
		conn, err = agent.Dial(ctx, remoteUser, remotePassword)
	} else {
		conn, err = agent.Accept(ctx, remoteUser, remotePassword)
	}
	must(err)
	_, err = conn.Write([]byte("hello from " + name))
	must(err)
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	must(err)
	fmt.Println(string(buffer[:n]))
	time.Sleep(300 * time.Millisecond) // the other may still need an answer
}
