package v1alpha1

// NATS says how to reach NATS servers, and as whom. One way to log in at most: credentialsRef, nkeySeedRef, userRef with passwordRef, or
// tokenRef. Without any, Hookbay logs in as nobody, or with its certificate.
//
// +kubebuilder:validation:XValidation:rule=`(has(self.credentialsRef) ? 1 : 0) + (has(self.nkeySeedRef) ? 1 : 0) + (has(self.userRef) || has(self.passwordRef) ? 1 : 0) + (has(self.tokenRef) ? 1 : 0) <= 1`,message="choose one way to log in: keep credentialsRef, or nkeySeedRef, or userRef with passwordRef, or tokenRef, and remove the others"
// +kubebuilder:validation:XValidation:rule=`has(self.userRef) == has(self.passwordRef)`,message="userRef and passwordRef belong together: add the one that is missing, or remove both"
// +kubebuilder:validation:XValidation:rule=`!has(self.tls) || has(self.tls.caBundleRef) || has(self.tls.certificateRef) || has(self.tls.keyRef)`,message="tls is empty: remove it, as urls that begin with tls:// or wss:// ask for TLS by themselves, or name caBundleRef, or certificateRef and keyRef"
type NATS struct {
	// urls are addresses of servers of one cluster, such as nats://nats.messaging.svc:4222: nats:// (which turns to TLS if the server asks for
	// it, or tls is set), tls:// (TLS, or no connection), or ws:// and wss:// for servers behind an HTTP proxy. One is enough, as servers tell of the others; with
	// several, one that is down when a receiver starts does no harm. No user name or password is in them: they are in plain sight.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:XValidation:rule=`!self.matches(r'^[a-zA-Z]*:?/{0,2}[^/?#]*@')`,message="leave user name and password out of the url: put them into a Secret and name it in userRef and passwordRef, or in tokenRef"
	// +kubebuilder:validation:items:XValidation:rule=`self.contains('@') || self.matches(r'^((nats|tls)://([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?/?|wss?://([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[-._~/a-zA-Z0-9]*)?)$')`,message="write the address of a NATS server: nats://, tls://, ws:// or wss://, a host and, unless it is 4222 (80 and 443 for ws and wss), a port, such as nats://nats.messaging.svc:4222"
	// +kubebuilder:validation:XValidation:rule=`self.all(u, u.startsWith('ws')) || !self.exists(u, u.startsWith('ws'))`,message="write either ws:// and wss://, or nats:// and tls:// in all urls: a connection can't change from one to the other"
	// +listType=set
	URLs []string `json:"urls,omitempty"`

	// credentialsRef names a credentials file as the nsc tool writes it (.creds): a user's JWT and NKey seed.
	// +optional
	CredentialsRef *SecretKeyRef `json:"credentialsRef,omitempty"`

	// nkeySeedRef names an NKey seed of a user ("SU…"), for servers that list users by their NKeys.
	// +optional
	NKeySeedRef *SecretKeyRef `json:"nkeySeedRef,omitempty"`

	// userRef names a user name. It goes with passwordRef.
	// +optional
	UserRef *SecretKeyRef `json:"userRef,omitempty"`

	// passwordRef names that user's password.
	// +optional
	PasswordRef *SecretKeyRef `json:"passwordRef,omitempty"`

	// tokenRef names a token, for servers that know one for all.
	// +optional
	TokenRef *SecretKeyRef `json:"tokenRef,omitempty"`

	// tls says how the server proves who it is, and Hookbay to the server. Default: the public certificate authorities, and no certificate of
	// its own.
	// +optional
	TLS *TLS `json:"tls,omitempty"`
}

// TLS says how two sides of a connection prove who they are. Each value is PEM.
//
// +kubebuilder:validation:XValidation:rule=`has(self.certificateRef) == has(self.keyRef)`,message="certificateRef and keyRef belong together: add the one that is missing, or remove both"
type TLS struct {
	// caBundleRef names certificates that the server's certificate must chain to, in place of the public ones. Default: the public certificate
	// authorities.
	// +optional
	CABundleRef *SecretKeyRef `json:"caBundleRef,omitempty"`

	// certificateRef names the certificate that Hookbay shows, followed by those between it and its authority, for servers that verify clients.
	// It goes with keyRef. Default: none.
	// +optional
	CertificateRef *SecretKeyRef `json:"certificateRef,omitempty"`

	// keyRef names the certificate's private key, without a passphrase.
	// +optional
	KeyRef *SecretKeyRef `json:"keyRef,omitempty"`
}
