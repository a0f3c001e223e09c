package config

import "fmt"

// SecretFiles lists the files that the configuration names, each once, in the order of the endpoints.
func (c *Config) SecretFiles() []SecretFile {
	var files []SecretFile
	seen := make(map[SecretFile]bool)
	for i := range c.Endpoints {
		for _, f := range c.Endpoints[i].SecretFiles() {
			if !seen[f] {
				seen[f] = true
				files = append(files, f)
			}
		}
	}
	return files
}

// SecretFiles lists the files that the endpoint names: its source's credentials first, then its target's, then its buffer's.
func (e *Endpoint) SecretFiles() []SecretFile {
	return files(e.namedFiles())
}

// SecretFiles lists the source's credentials, in the order that source.Proof counts them in.
func (s *Source) SecretFiles() []SecretFile { return files(s.namedFiles()) }

// SecretFiles lists what the target takes from files.
func (t *Target) SecretFiles() []SecretFile { return files(t.namedFiles()) }

// SecretFiles lists what the buffer takes from files.
func (b *Buffer) SecretFiles() []SecretFile { return files(b.namedFiles()) }

// SecretFiles lists what the connection takes from files.
func (n *NATS) SecretFiles() []SecretFile { return files(n.namedFiles("")) }

// named is a file and the field that names it.
type named struct {
	file  SecretFile
	field string
}

// files drops the fields that name no file.
func files(all []named) []SecretFile {
	var some []SecretFile
	for _, n := range all {
		if n.file != "" {
			some = append(some, n.file)
		}
	}
	return some
}

// namedFiles lists every field that can name a file, also those that do not.
func (e *Endpoint) namedFiles() []named {
	return append(append(e.Source.namedFiles(), e.Target.namedFiles()...), e.Buffer.namedFiles()...)
}

func (s *Source) namedFiles() []named {
	var all []named
	several := func(field string, files []SecretFile) {
		for i, f := range files {
			all = append(all, named{f, fmt.Sprintf("source.%s[%d]", field, i)})
		}
	}
	if s.Lazada != nil {
		several("lazada.appSecretFiles", s.Lazada.AppSecretFiles)
	}
	if s.TencentIM != nil {
		several("tencentIM.tokenFiles", s.TencentIM.TokenFiles)
	}
	return all
}

func (t *Target) namedFiles() []named {
	all := []named{
		{t.BearerTokenFile, "target.bearerTokenFile"}, {t.CABundleFile, "target.caBundleFile"}, {t.SigningSecretFile, "target.signingSecretFile"},
	}
	if k := t.Kafka; k != nil && k.SASL != nil {
		all = append(all, named{k.SASL.UserFile, "target.kafka.sasl.userFile"}, named{k.SASL.PasswordFile, "target.kafka.sasl.passwordFile"})
	}
	if k := t.Kafka; k != nil && k.TLS != nil {
		all = append(all, k.TLS.namedFiles("target.kafka.tls.")...)
	}
	if t.JetStream != nil {
		all = append(all, t.JetStream.namedFiles("target.jetStream.")...)
	}
	return all
}

func (b *Buffer) namedFiles() []named {
	if b.JetStream == nil {
		return nil
	}
	return b.JetStream.namedFiles("buffer.jetStream.")
}

func (n *NATS) namedFiles(at string) []named {
	t := n.TLS()
	return append([]named{
		{n.CredentialsFile, at + "credentialsFile"}, {n.NKeySeedFile, at + "nkeySeedFile"}, {n.UserFile, at + "userFile"},
		{n.PasswordFile, at + "passwordFile"}, {n.TokenFile, at + "tokenFile"},
	}, t.namedFiles(at)...)
}

func (t *TLS) namedFiles(at string) []named {
	return []named{{t.CABundleFile, at + "caBundleFile"}, {t.CertificateFile, at + "certificateFile"}, {t.KeyFile, at + "keyFile"}}
}
