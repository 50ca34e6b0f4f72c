// Package greeting fetches the first line of a server's page.
package greeting

import (
	"io"
	"net"
	"strings"
	"time"
)

// Of returns the first line of the page that address, a HOST:PORT, serves.
func Of(address string) (string, error) {
	connection, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err = io.WriteString(connection, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(connection)
	_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	line, _, _ := strings.Cut(body, "\n")
	return line, err
}
