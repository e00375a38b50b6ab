// SPDX-License-Identifier: Apache-2.0

// A CoAP client and server by go-coap, whose DTLS is pion's, that the tests drive by lines on its standard input: those of
// tests/lib/californium/CoapPeer.java, with the same answers. /silent/… is not there.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/dtls/v2"
	coapdtls "github.com/plgd-dev/go-coap/v3/dtls"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/mux"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/tcp"
	"github.com/plgd-dev/go-coap/v3/udp"
	udpclient "github.com/plgd-dev/go-coap/v3/udp/client"
)

const patience = time.Minute

var saying sync.Mutex

func say(format string, arguments ...any) {
	saying.Lock()
	defer saying.Unlock()
	fmt.Printf(format+"\n", arguments...)
}

func unhex(text string) []byte {
	data, _ := hex.DecodeString(strings.TrimPrefix(text, "-"))
	return data
}

func describe(m *pool.Message, payload []byte) string {
	kind := map[message.Type]string{message.Confirmable: "CON", message.NonConfirmable: "NON",
		message.Acknowledgement: "ACK"}[m.Type()]
	said := " type=" + kind + " payload=" + hex.EncodeToString(payload)
	for _, option := range []struct {
		name string
		id   message.OptionID
	}{{"content_format", message.ContentFormat}, {"max_age", message.MaxAge}, {"observe", message.Observe}} {
		if value, err := m.GetOptionUint32(option.id); err == nil {
			said += fmt.Sprintf(" %s=%d", option.name, value)
		}
	}
	if etag, err := m.ETag(); err == nil {
		said += " etag=" + hex.EncodeToString(etag)
	}
	if path, err := m.Options().LocationPath(); err == nil && path != "" {
		said += " location=" + url.QueryEscape(strings.TrimPrefix(path, "/"))
	}
	return said
}

func body(m *pool.Message) []byte {
	data, _ := m.ReadBody()
	return data
}

func dotted(code codes.Code) string {
	return fmt.Sprintf("%d.%02d", code>>5, code&31)
}

// --- keys and certificates

type secrets struct {
	kind     string
	identity string
	key      []byte
	pool     *x509.CertPool
	own      tls.Certificate
}

// words: IDENTITY KEY of psk, or CA PEM of x509 and tls.
func newSecrets(kind string, words []string) (*secrets, error) {
	made := &secrets{kind: kind}
	switch kind {
	case "psk":
		made.identity, made.key = words[0], unhex(words[1])
	case "x509", "tls":
		ca, err := os.ReadFile(words[0])
		if err != nil {
			return nil, err
		}
		made.pool = x509.NewCertPool()
		if !made.pool.AppendCertsFromPEM(ca) {
			return nil, errors.New("no authority")
		}
		if made.own, err = tls.LoadX509KeyPair(words[1], words[1]); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func (s *secrets) dtls() *dtls.Config {
	if s.kind == "psk" {
		return &dtls.Config{
			PSK:             func([]byte) ([]byte, error) { return s.key, nil },
			PSKIdentityHint: []byte(s.identity),
			CipherSuites:    []dtls.CipherSuiteID{dtls.TLS_PSK_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256},
		}
	}
	return &dtls.Config{
		Certificates: []tls.Certificate{s.own}, RootCAs: s.pool, ClientCAs: s.pool,
		ClientAuth: dtls.RequireAndVerifyClientCert, ExtendedMasterSecret: dtls.RequestExtendedMasterSecret,
	}
}

func (s *secrets) tls() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{s.own}, RootCAs: s.pool, ClientCAs: s.pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
}

func szx(block string) blockwise.SZX {
	size, _ := strconv.Atoi(block)
	for s := blockwise.SZX16; s <= blockwise.SZX1024; s++ {
		if s.Size() == int64(size) {
			return s
		}
	}
	return blockwise.SZX1024
}

// --- client

// One connection to each address that it is asked for.
type client struct {
	secrets *secrets
	szx     blockwise.SZX
	lock    sync.Mutex
	conns   map[string]mux.Conn
}

func (c *client) dial(host string) (mux.Conn, error) {
	blocks := options.WithBlockwise(true, c.szx, patience)
	switch c.secrets.kind {
	case "udp":
		return udp.Dial(host, blocks)
	case "tcp":
		return tcp.Dial(host, blocks)
	case "tls":
		return tcp.Dial(host, blocks, options.WithTLS(c.secrets.tls()))
	default:
		return coapdtls.Dial(host, c.secrets.dtls(), blocks)
	}
}

func (c *client) conn(host string) (mux.Conn, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if conn := c.conns[host]; conn != nil && conn.Context().Err() == nil {
		return conn, nil
	}
	conn, err := c.dial(host)
	if err == nil {
		c.conns[host] = conn
	}
	return conn, err
}

var (
	clients      = map[string]*client{}
	observations sync.Map // by id
	methods      = map[string]codes.Code{"GET": codes.GET, "POST": codes.POST, "PUT": codes.PUT, "DELETE": codes.DELETE}
)

// words: CLIENT METHOD URI con|non CONTENT_FORMAT ACCEPT ETAG PAYLOAD
func request(words []string) (string, error) {
	at, err := url.Parse(words[2])
	if err != nil {
		return "", err
	}
	conn, err := clients[words[0]].conn(at.Host)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, err := conn.NewGetRequest(ctx, at.Path)
	if err != nil {
		return "", err
	}
	defer conn.ReleaseMessage(m)
	m.SetCode(methods[words[1]])
	for _, query := range strings.Split(at.RawQuery, "&") {
		if query != "" {
			m.AddQuery(query)
		}
	}
	if words[3] == "non" {
		m.SetType(message.NonConfirmable)
	}
	if format, err := strconv.Atoi(words[4]); err == nil {
		m.SetContentFormat(message.MediaType(format))
	}
	if accept, err := strconv.Atoi(words[5]); err == nil {
		m.SetAccept(message.MediaType(accept))
	}
	if words[6] != "-" {
		if err := m.AddETag(unhex(words[6])); err != nil {
			return "", err
		}
	}
	if words[7] != "-" {
		m.SetBody(bytes.NewReader(unhex(words[7])))
	}
	answer, err := conn.Do(m)
	if err != nil {
		return "", err
	}
	return "code=" + dotted(answer.Code()) + describe(answer, body(answer)), nil
}

// words: ID CLIENT URI con|non
func observe(words []string) error {
	at, err := url.Parse(words[2])
	if err != nil {
		return err
	}
	conn, err := clients[words[1]].conn(at.Host)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	made, err := conn.Observe(ctx, at.Path, func(m *pool.Message) {
		say("note %s code=%s%s", words[0], dotted(m.Code()), describe(m, body(m)))
	})
	if err == nil {
		observations.Store(words[0], made)
	}
	return err
}

func cancel(id string) error {
	made, ok := observations.LoadAndDelete(id)
	if !ok {
		return errors.New("nothing observed")
	}
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	return made.(mux.Observation).Cancel(ctx)
}

// --- server

type value struct {
	payload []byte
	format  int // -1: none
	version uint32
	there   bool
}

type observer struct {
	conn    mux.Conn
	token   message.Token
	changed chan struct{} // of one place
	gone    chan struct{}
	once    sync.Once
}

func (o *observer) end() { o.once.Do(func() { close(o.gone) }) }

type store struct {
	lock      sync.Mutex
	values    map[string]value
	observers map[string]map[string]*observer // path, who and token
	sent      map[string]*observer            // who and message id: of notifications, for RST
}

var stored = store{values: map[string]value{}, observers: map[string]map[string]*observer{}, sent: map[string]*observer{}}

func (s *store) get(path string) value {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.values[path]
}

func (s *store) set(path string, payload []byte, format int, there bool) (created bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	before := s.values[path]
	s.values[path] = value{payload, format, before.version + 1, there}
	for _, one := range s.observers[path] {
		select {
		case one.changed <- struct{}{}:
		default:
		}
	}
	return !before.there
}

func (s *store) count(path string) int {
	s.lock.Lock()
	defer s.lock.Unlock()
	return len(s.observers[path])
}

func (s *store) remove(path, key string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if one := s.observers[path][key]; one != nil {
		one.end()
		delete(s.observers[path], key)
	}
}

func (s *store) add(path, key string, conn mux.Conn, token message.Token) {
	s.remove(path, key)
	one := &observer{conn: conn, token: append(message.Token{}, token...), changed: make(chan struct{}, 1),
		gone: make(chan struct{})}
	s.lock.Lock()
	if s.observers[path] == nil {
		s.observers[path] = map[string]*observer{}
	}
	s.observers[path][key] = one
	s.lock.Unlock()
	go func() {
		defer s.remove(path, key)
		for {
			select {
			case <-one.gone:
				return
			case <-conn.Context().Done():
				return
			case <-one.changed:
			}
			if !s.notify(path, one) {
				return
			}
		}
	}()
}

func fill(m *pool.Message, now value) {
	m.SetCode(codes.NotFound)
	if !now.there {
		return
	}
	m.SetCode(codes.Content)
	m.SetBody(bytes.NewReader(now.payload))
	_ = m.SetETag([]byte{byte(crc32.ChecksumIEEE(now.payload)), byte(crc32.ChecksumIEEE(now.payload) >> 8)})
	if now.format >= 0 {
		m.SetContentFormat(message.MediaType(now.format))
	}
}

// False: it has gone, or will not hear any more.
func (s *store) notify(path string, one *observer) bool {
	now := s.get(path)
	m := one.conn.AcquireMessage(one.conn.Context())
	defer one.conn.ReleaseMessage(m)
	m.SetToken(one.token)
	fill(m, now)
	if now.there {
		m.SetObserve(now.version + 1)
	}
	if conn, ok := one.conn.(*udpclient.Conn); ok {
		id := conn.GetMessageID()
		m.SetMessageID(id)
		s.lock.Lock()
		s.sent[fmt.Sprint(conn.RemoteAddr(), id)] = one
		s.lock.Unlock()
	}
	return one.conn.WriteMessage(m) == nil && now.there
}

// All that comes to a datagram server, before anybody else sees it.
func monitor(conn *udpclient.Conn, m *pool.Message) (bool, error) {
	if m.Type() == message.Reset {
		stored.lock.Lock()
		if one := stored.sent[fmt.Sprint(conn.RemoteAddr(), m.MessageID())]; one != nil {
			one.end()
		}
		stored.lock.Unlock()
	}
	return false, nil
}

func identity(conn mux.Conn) string {
	if secured, ok := conn.NetConn().(*dtls.Conn); ok {
		state := secured.ConnectionState()
		return string(state.IdentityHint)
	}
	return ""
}

func respond(w mux.ResponseWriter, code codes.Code, text string) {
	if text == "" {
		_ = w.SetResponse(code, message.TextPlain, nil)
		w.Message().Remove(message.ContentFormat)
	} else {
		_ = w.SetResponse(code, message.TextPlain, strings.NewReader(text))
	}
}

// Answers with code and text, late: go-coap sends an empty acknowledgement when a handler says nothing.
func later(conn mux.Conn, token message.Token, code codes.Code) {
	token = append(message.Token{}, token...)
	go func() {
		m := conn.AcquireMessage(conn.Context())
		defer conn.ReleaseMessage(m)
		m.SetToken(token)
		m.SetCode(code)
		_ = conn.WriteMessage(m)
	}()
}

func get(w mux.ResponseWriter, r *mux.Message, path string) {
	key := fmt.Sprint(w.Conn().RemoteAddr(), r.Token())
	now := stored.get(path)
	fill(w.Message(), now)
	w.Message().SetModified(true)
	wish, err := r.Observe()
	switch {
	case err == nil && wish == 0 && now.there:
		stored.add(path, key, w.Conn(), r.Token())
		w.Message().SetObserve(now.version + 1)
	case err == nil && wish == 1:
		stored.remove(path, key)
	}
}

func serve(w mux.ResponseWriter, r *mux.Message) {
	path, _ := r.Path()
	path = "/" + strings.TrimPrefix(path, "/")
	queries, _ := r.Queries()
	payload := body(r.Message)
	say("got method=%s path=%s query=%s identity=%s%s", strings.ToUpper(r.Code().String()), path,
		url.QueryEscape(strings.Join(queries, "&")), url.QueryEscape(identity(w.Conn())), describe(r.Message, payload))
	parts := strings.Split(path[1:], "/")
	switch {
	case parts[0] == "code" && len(parts) > 1:
		var class, detail codes.Code
		_, _ = fmt.Sscanf(parts[1], "%d.%d", &class, &detail)
		respond(w, class<<5|detail, "")
		if len(parts) > 2 {
			age, _ := strconv.Atoi(parts[2])
			w.Message().SetOptionUint32(message.MaxAge, uint32(age))
		}
	case parts[0] == "separate":
		later(w.Conn(), r.Token(), codes.Changed)
	case r.Code() == codes.GET:
		get(w, r, path)
	case r.Code() == codes.DELETE:
		stored.set(path, nil, -1, false)
		respond(w, codes.Deleted, "")
	case r.Code() == codes.POST:
		respond(w, codes.Changed, fmt.Sprintf("posted %d", len(payload)))
	default:
		format := -1
		if given, err := r.ContentFormat(); err == nil {
			format = int(given)
		}
		code := codes.Changed
		if stored.set(path, payload, format, true) {
			code = codes.Created
		}
		respond(w, code, "")
	}
}

// words: KIND PORT BLOCK [SECRETS]
func server(words []string) error {
	given, err := newSecrets(words[0], words[3:])
	if err != nil {
		return err
	}
	address := "127.0.0.1:" + words[1]
	router := options.WithMux(mux.HandlerFunc(serve))
	blocks := options.WithBlockwise(true, szx(words[2]), patience)
	var run func() error
	switch words[0] {
	case "udp":
		listener, err := coapnet.NewListenUDP("udp4", address)
		if err != nil {
			return err
		}
		run = func() error {
			return udp.NewServer(router, blocks, options.WithRequestMonitor(monitor)).Serve(listener)
		}
	case "tcp":
		listener, err := coapnet.NewTCPListener("tcp4", address)
		if err != nil {
			return err
		}
		run = func() error { return tcp.NewServer(router, blocks).Serve(listener) }
	case "tls":
		listener, err := coapnet.NewTLSListener("tcp4", address, given.tls())
		if err != nil {
			return err
		}
		run = func() error { return tcp.NewServer(router, blocks).Serve(listener) }
	default:
		listener, err := coapnet.NewDTLSListener("udp4", address, given.dtls())
		if err != nil {
			return err
		}
		run = func() error {
			return coapdtls.NewServer(router, blocks, options.WithRequestMonitor(monitor)).Serve(listener)
		}
	}
	go func() {
		if err := run(); err != nil {
			say("error server %s: %v", words[1], err)
		}
	}()
	say("ready server %s", words[1])
	return nil
}

// --- lines

func obey(words []string) error {
	switch words[0] {
	case "client":
		given, err := newSecrets(words[2], words[4:])
		if err != nil {
			return err
		}
		clients[words[1]] = &client{secrets: given, szx: szx(words[3]), conns: map[string]mux.Conn{}}
		say("ready client %s", words[1])
	case "server":
		return server(words[1:])
	case "request":
		go func() {
			if answer, err := request(words[2:]); err != nil {
				say("failed %s %v", words[1], err)
			} else {
				say("answer %s %s", words[1], answer)
			}
		}()
	case "observe":
		go func() {
			if err := observe(words[1:]); err != nil {
				say("failed %s %v", words[1], err)
			}
		}()
	case "cancel", "forget": // go-coap has one way
		go func() {
			if err := cancel(words[1]); err != nil {
				say("failed %s %v", words[1], err)
			}
		}()
	case "set":
		format, _ := strconv.Atoi(words[2])
		stored.set(words[1], unhex(words[3]), format, true)
	case "remove":
		stored.set(words[1], nil, -1, false)
	case "observers":
		say("observers %s %d", words[1], stored.count(words[1]))
	default:
		return errors.New("what?")
	}
	return nil
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	say("ready peer")
	for lines.Scan() {
		if err := obey(strings.Fields(lines.Text())); err != nil {
			say("error %s: %v", lines.Text(), err)
		}
	}
}
