package local

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

// The credentials of the sample endpoints, which the tests' manifests use too.
const (
	lazadaAppKey = "100132"
	lazadaSecret = "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf"
	tencentAppID = "1400000001"
	tencentToken = "tok-3f9A7c2E5b8D1064"
)

// What the platforms are told when all is well.
const (
	lazadaOK  = `{}`
	tencentOK = `{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}`
)

// The two signatures are written out here, rather than taken from the sources' simulators, so that a misunderstanding they share
// with the sources shows.

// signLazada is hex(HMAC-SHA256(secret, appKey + body)).
func signLazada(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(lazadaAppKey))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// signTencent is hex(SHA-256(token + RequestTime)).
func signTencent(token, requestTime string) string {
	sum := sha256.Sum256([]byte(token + requestTime))
	return hex.EncodeToString(sum[:])
}

// lazadaRequest is a push to the endpoint lazada-im.
func lazadaRequest(ctx context.Context, base, secret string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/shop/lazada-im", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", signLazada(secret, body))
	return r, nil
}

// tencentRequest is a callback to the endpoint tencent-im, signed at a time.
func tencentRequest(ctx context.Context, base, command, token string, at time.Time, body []byte) (*http.Request, error) {
	requestTime := strconv.FormatInt(at.Unix(), 10)
	q := url.Values{
		"SdkAppid": {tencentAppID}, "CallbackCommand": {command}, "contenttype": {"json"},
		"ClientIP": {"203.0.113.7"}, "OptPlatform": {"iOS"},
		"RequestTime": {requestTime}, "Sign": {signTencent(token, requestTime)},
	}
	return http.NewRequestWithContext(ctx, http.MethodPost, base+"/shop/tencent-im?"+q.Encode(), bytes.NewReader(body))
}

// callback is number n of one subject. Subjects whose number is even belong to lazada-im, the others to tencent-im.
type callback struct{ subject, n int }

func (c callback) String() string { return fmt.Sprintf("%d/%d", c.subject, c.n) }

// body is what the platform sends. Its member mark names the callback, to recognize it at the target; platforms add members at
// will. padding makes it longer, by text that does not compress.
func (c callback) body(padding int) []byte {
	noise := rand.NewChaCha8(sha256.Sum256([]byte(c.String()))) // the same text each time
	pad := make([]byte, padding)
	_, _ = noise.Read(pad) // never fails
	for i, b := range pad {
		pad[i] = ' ' + 1 + b%('Z'-' ') // printable, and neither quote nor backslash …
		if pad[i] == '"' {
			pad[i] = 'z' // … once this is replaced
		}
	}
	if c.subject%2 == 0 {
		return fmt.Appendf(nil, `{"seller_id":"1000165972","message_type":2,"data":{"session_id":"s-%d","message_id":"m-%d-%d",`+
			`"content":"{\"txt\":\"%s\"}","from_account_id":"1891549323","from_account_type":1,"send_time":%d,"template_id":1,`+
			`"to_account_id":"231135951","to_account_type":2,"type":1,"site_id":"SG","status":0},"mark":"%s"}`,
			c.subject, c.subject, c.n, pad, 1_700_000_000_000+c.n, c)
	}
	at := 1_700_000_000 + c.n
	return fmt.Appendf(nil, `{"CallbackCommand":"C2C.CallbackAfterSendMsg","From_Account":"buyer-%d","To_Account":"seller",`+
		`"MsgSeq":%d,"MsgRandom":%d,"MsgTime":%d,"MsgKey":"%d_%d_%d","OnlineOnlyFlag":1,"SendMsgResult":0,"ErrorInfo":"send msg succeed",`+
		`"UnreadMsgNum":7,"MsgBody":[{"MsgType":"TIMTextElem","MsgContent":{"Text":"%s"}}],"mark":"%s"}`,
		c.subject, c.n, c.subject, at, c.n, c.subject, at, pad, c)
}

// request is the callback as the platform sends it now.
func (c callback) request(ctx context.Context, base string, padding int) (r *http.Request, want string, err error) {
	body := c.body(padding)
	if c.subject%2 == 0 {
		r, err = lazadaRequest(ctx, base, lazadaSecret, body)
		return r, lazadaOK, err
	}
	r, err = tencentRequest(ctx, base, "C2C.CallbackAfterSendMsg", tencentToken, time.Now(), body)
	return r, tencentOK, err
}
