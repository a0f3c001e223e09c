package manifests

import (
	"k8s.io/apimachinery/pkg/api/resource"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/receiver/config"
)

func receiverBuffer(namespace string, b *hookbayv1alpha1.Buffer) config.Buffer {
	out := config.Buffer{Type: string(b.Type), DeduplicationWindow: duration(b.DeduplicationWindow)}
	switch b.Type {
	case hookbayv1alpha1.BufferNone:
	case hookbayv1alpha1.BufferJetStream:
		out.JetStream, out.MaxBytes = receiverStream(namespace, b.JetStream)
	default:
		// The last tenth is the file system's, and room to make room: the store compacts before it frees.
		size := diskSize(b)
		out.MaxBytes = size.Value() / 10 * 9
	}
	if b.Retention != nil { // none at all and the default are told apart
		retention := config.Duration(b.Retention.Duration)
		out.Retention = &retention
	}
	return out
}

// receiverStream also returns the stream's size; 0 for one that is there already, whose own configuration says it.
func receiverStream(namespace string, j *hookbayv1alpha1.JetStreamBuffer) (*config.JetStream, int64) {
	if j == nil {
		j = &hookbayv1alpha1.JetStreamBuffer{}
	}
	out := &config.JetStream{
		NATS:     receiverNATS(namespace, &j.NATS),
		Stream:   j.Stream,
		Replicas: int(j.Replicas),
		Storage:  string(j.Storage),
		MaxAge:   duration(j.MaxAge),
	}
	switch {
	case j.Stream != "":
		return out, 0
	case j.MaxBytes != nil:
		return out, j.MaxBytes.Value()
	}
	size := resource.MustParse(hookbayv1alpha1.DefaultStreamSize)
	return out, size.Value()
}

// diskSize is the size of each replica's volume.
func diskSize(b *hookbayv1alpha1.Buffer) resource.Quantity {
	if b.Disk != nil && b.Disk.Size != nil {
		return b.Disk.Size.DeepCopy()
	}
	return resource.MustParse(hookbayv1alpha1.DefaultDiskSize)
}
