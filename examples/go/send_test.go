// A Go test of a sender: it asks a resolver of its own for the exchangers of the recipient's domain, and hands the
// message to the first that takes it. The lab is put up and failed over its API. The standard library is all it needs.
//
//	mxdrill up --control 127.0.0.1:8025
//	MXDRILL_CONTROL=http://127.0.0.1:8025 go test ./...
package send

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"strings"
	"testing"
)

const zone = `
$ORIGIN example.test.
@    IN MX 10 mx1
@    IN MX 20 mx2
mx1  IN A  192.0.2.1
mx2  IN A  192.0.2.2
`

// lab is what PUT /v1/lab answers, as far as it is needed here.
type lab struct {
	Resolver string
	Hosts    []struct{ Answered, Listens string }
}

func (lab lab) resolver() *net.Resolver {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, lab.Resolver)
	}
	return &net.Resolver{PreferGo: true, Dial: dial}
}

// socketFor says where to connect for an address that the resolver answered.
func (lab lab) socketFor(address string) string {
	for _, host := range lab.Hosts {
		if host.Answered == address {
			return host.Listens
		}
	}
	return net.JoinHostPort(address, "25")
}

// send is the sender: what you would test of your own.
func send(resolver *net.Resolver, socketFor func(string) string, to string, message []byte) error {
	ctx := context.Background()
	_, domain, _ := strings.Cut(to, "@")
	// They come sorted by preference, equals in random order.
	exchangers, err := resolver.LookupMX(ctx, domain+".")
	if err != nil {
		return err
	}
	last := fmt.Errorf("no exchanger for %s", to)
	for _, exchanger := range exchangers {
		addresses, err := resolver.LookupHost(ctx, exchanger.Host)
		if err != nil {
			last = err
			continue
		}
		for _, address := range addresses {
			if last = deliver(socketFor(address), to, message); last == nil {
				return nil
			}
		}
	}
	return last
}

// deliver hands a message to one exchanger. (smtp.SendMail would call itself localhost.)
func deliver(socket, to string, message []byte) error {
	client, err := smtp.Dial(socket)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Hello("mail.sender.test"); err != nil {
		return err
	}
	if err := client.Mail("sender@sender.test"); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	content, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := content.Write(message); err != nil {
		return err
	}
	if err := content.Close(); err != nil {
		return err
	}
	return client.Quit()
}

// ask asks the API of mxdrill.
func ask(t *testing.T, method, path, media, body string, answer any) {
	t.Helper()
	control := os.Getenv("MXDRILL_CONTROL")
	if control == "" {
		t.Skip("MXDRILL_CONTROL does not say where `mxdrill up --control` is")
	}
	request, err := http.NewRequest(method, control+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	if media != "" {
		request.Header.Set("Content-Type", media)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	told, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s %v", method, path, response.Status, told, err)
	}
	if err := json.Unmarshal(told, answer); err != nil {
		t.Fatal(err)
	}
}

func TestTheBackupTakesMailWhileThePrimaryIsDown(t *testing.T) {
	var up lab
	ask(t, "PUT", "/v1/lab", "text/dns", zone, &up)
	fault := `{ "host": "mx1.example.test", "stage": "connect", "effect": "refuse" }`
	var ignored any
	ask(t, "POST", "/v1/faults", "application/json", fault, &ignored)

	message := []byte("From: sender@sender.test\r\nTo: alice@example.test\r\nSubject: Hello\r\n\r\nHello\r\n")
	if err := send(up.resolver(), up.socketFor, "alice@example.test", message); err != nil {
		t.Fatal(err)
	}

	var taken struct{ Host, Subject string }
	ask(t, "GET", "/v1/messages/wait?recipient=alice@example.test", "", "", &taken)
	if taken.Host != "mx2.example.test" || taken.Subject != "Hello" {
		t.Errorf("found %+v, expected the backup to have it", taken)
	}
	var verdict struct {
		Findings []struct{ Level, Claim string }
	}
	ask(t, "GET", "/v1/verdict", "", "", &verdict)
	// net/smtp asks for SMTPUTF8 wherever it is offered, which it SHOULD not.
	for _, finding := range verdict.Findings {
		if finding.Level == "MUST" {
			t.Errorf("found a sender that breaks a MUST: %s", finding.Claim)
		}
	}
}
