package local

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/hookbay/hookbay/hack/e2e/platform"
)

// The credentials of the sample endpoints, which the tests' manifests use too.
const (
	lazadaAppKey = "100132"
	lazadaSecret = "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf"
	tencentAppID = "1400000001"
	tencentToken = "tok-3f9A7c2E5b8D1064"
)

// lazadaRequest is a push to the endpoint lazada-im.
func lazadaRequest(ctx context.Context, base, secret string, body []byte) (*http.Request, error) {
	return platform.LazadaRequest(ctx, base+"/shop/lazada-im", lazadaAppKey, secret, body)
}

// tencentRequest is a callback to the endpoint tencent-im, signed at a time.
func tencentRequest(ctx context.Context, base, command, token string, at time.Time, body []byte) (*http.Request, error) {
	return platform.TencentRequest(ctx, base+"/shop/tencent-im", tencentAppID, command, token, at, body)
}

// callback is number n of one subject. Subjects whose number is even belong to lazada-im, the others to tencent-im.
type callback struct{ subject, n int }

func (c callback) String() string { return fmt.Sprintf("%d/%d", c.subject, c.n) }

// body is what the platform sends, with a mark that names the callback. padding makes it longer.
func (c callback) body(padding int) []byte {
	message := platform.Message{Conversation: c.subject, N: c.n, Mark: c.String(), Padding: padding}
	if c.subject%2 == 0 {
		return platform.LazadaMessage(message)
	}
	return platform.TencentMessage(message)
}

// request is the callback as the platform sends it now.
func (c callback) request(ctx context.Context, base string, padding int) (r *http.Request, want string, err error) {
	body := c.body(padding)
	if c.subject%2 == 0 {
		r, err = lazadaRequest(ctx, base, lazadaSecret, body)
		return r, platform.LazadaOK, err
	}
	r, err = tencentRequest(ctx, base, platform.TencentMessageCommand, tencentToken, time.Now(), body)
	return r, platform.TencentOK, err
}
