// Package platform plays Lazada and Tencent Cloud IM for the end-to-end tests. Signatures and bodies are written out here, rather than taken
// from the sources' simulators, so that a misunderstanding that simulator and source share shows.
package platform

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// What the platforms are told when all is well, byte for byte.
const (
	LazadaOK  = `{}`
	TencentOK = `{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}`
)

// How long the platforms wait for an answer.
const (
	LazadaLimit  = 500 * time.Millisecond
	TencentLimit = 2 * time.Second
)

// TencentMessageCommand is the callback that TencentMessage makes.
const TencentMessageCommand = "C2C.CallbackAfterSendMsg"

// SignLazada is hex(HMAC-SHA256(secret, appKey + body)).
func SignLazada(appKey, secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(appKey))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// SignTencent is hex(SHA-256(token + RequestTime)).
func SignTencent(token, requestTime string) string {
	sum := sha256.Sum256([]byte(token + requestTime))
	return hex.EncodeToString(sum[:])
}

// LazadaRequest is a push to an endpoint's URL.
func LazadaRequest(ctx context.Context, endpoint, appKey, secret string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", SignLazada(appKey, secret, body))
	return r, nil
}

// TencentRequest is a callback to an endpoint's URL, signed at a time.
func TencentRequest(ctx context.Context, endpoint, appID, command, token string, at time.Time, body []byte) (*http.Request, error) {
	requestTime := strconv.FormatInt(at.Unix(), 10)
	q := url.Values{
		"SdkAppid": {appID}, "CallbackCommand": {command}, "contenttype": {"json"},
		"ClientIP": {"203.0.113.7"}, "OptPlatform": {"iOS"},
		"RequestTime": {requestTime}, "Sign": {SignTencent(token, requestTime)},
	}
	return http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"?"+q.Encode(), bytes.NewReader(body))
}

// Message is what a platform tells about one message of a conversation. Its mark is an additional member of the body, to recognize it at the
// target: platforms add members at will.
type Message struct {
	// Conversation is the number of the conversation, which is the subject of the event; N counts the messages in it.
	Conversation, N int
	// Mark must not need to be escaped in JSON.
	Mark string
	// Padding makes the body longer by so many bytes, which do not compress.
	Padding int
}

// LazadaMessage is the body of a push of type 2.
func LazadaMessage(m Message) []byte {
	return fmt.Appendf(nil, `{"seller_id":"1000165972","message_type":2,"data":{"session_id":"s-%d","message_id":"m-%s",`+
		`"content":"{\"txt\":\"%s\"}","from_account_id":"1891549323","from_account_type":1,"send_time":%d,"template_id":1,`+
		`"to_account_id":"231135951","to_account_type":2,"type":1,"site_id":"SG","status":0},"mark":"%s"}`,
		m.Conversation, m.Mark, m.padding(), 1_700_000_000_000+m.N, m.Mark)
}

// TencentMessage is the body of a callback after a message between two.
func TencentMessage(m Message) []byte {
	at := 1_700_000_000 + m.N
	return fmt.Appendf(nil, `{"CallbackCommand":"%s","From_Account":"buyer-%d","To_Account":"seller",`+
		`"MsgSeq":%d,"MsgRandom":%d,"MsgTime":%d,"MsgKey":"%s","OnlineOnlyFlag":1,"SendMsgResult":0,"ErrorInfo":"send msg succeed",`+
		`"UnreadMsgNum":7,"MsgBody":[{"MsgType":"TIMTextElem","MsgContent":{"Text":"%s"}}],"mark":"%s"}`,
		TencentMessageCommand, m.Conversation, m.N, m.Conversation, at, m.Mark, m.padding(), m.Mark)
}

// padding is the same text for the same mark, printable, without quotes and backslashes.
func (m Message) padding() []byte {
	noise := rand.NewChaCha8(sha256.Sum256([]byte(m.Mark)))
	pad := make([]byte, m.Padding)
	_, _ = noise.Read(pad) // never fails
	for i, b := range pad {
		pad[i] = ' ' + 1 + b%('Z'-' ')
		if pad[i] == '"' {
			pad[i] = 'z'
		}
	}
	return pad
}
