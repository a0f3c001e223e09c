package load

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"hash"
)

// partialHMAC signs many bodies that begin alike, at the cost of what comes after that: hashing 64 KiB for each callback would take the load more
// time than the server's answer.
type partialHMAC struct {
	inner, outer []byte // states of SHA-256 after what stays the same
	from, to     int    // what is hashed for each request
	at           int    // where the signature goes, as hex digits
}

// state is what crypto/sha256 returns.
type state interface {
	hash.Hash
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

var errState = errors.New("crypto/sha256 cannot keep its state")

// newPartialHMAC prepares HMAC-SHA256 over prefix and request[body:], of which request[body:varies] stays the same.
func newPartialHMAC(key, prefix string, request []byte, body, varies, at int) (*partialHMAC, error) {
	p := &partialHMAC{from: varies, to: len(request), at: at}
	for _, half := range []struct {
		pad   byte
		rest  []byte
		state *[]byte
	}{
		{0x36, append([]byte(prefix), request[body:varies]...), &p.inner},
		{0x5c, nil, &p.outer},
	} {
		h, ok := sha256.New().(state)
		if !ok {
			return nil, errState
		}
		block := make([]byte, sha256.BlockSize)
		copy(block, key) // shorter than a block
		for i := range block {
			block[i] ^= half.pad
		}
		h.Write(block)
		h.Write(half.rest)
		var err error
		if *half.state, err = h.AppendBinary(nil); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// sign writes the signature of the request's body into its head.
func (p *partialHMAC) sign(request []byte) error {
	h, ok := sha256.New().(state)
	if !ok {
		return errState
	}
	if err := h.UnmarshalBinary(p.inner); err != nil {
		return err
	}
	h.Write(request[p.from:p.to])
	var sum [sha256.Size]byte
	inner := h.Sum(sum[:0])
	if err := h.UnmarshalBinary(p.outer); err != nil {
		return err
	}
	h.Write(inner)
	hex.Encode(request[p.at:], h.Sum(sum[:0]))
	return nil
}
