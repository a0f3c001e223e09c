package apitest

import (
	"context"
	"errors"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Rights are what a user may do in one namespace, or in the whole cluster if Namespace is empty.
type Rights struct {
	Namespace string
	Rules     []rbacv1.PolicyRule
}

// User makes a user who may do what rights say and nothing else, and returns that user's access. It returns when the API server
// knows of the rights; they end with the test.
func (s *Server) User(t *testing.T, rights ...Rights) *rest.Config {
	t.Helper()
	name := "user-" + string(uuid.NewUUID())
	// Without limits of its own, as the administrator: the server is the test's alone.
	s.users.Lock()
	user, err := s.environment.AddUser(envtest.User{Name: name}, &rest.Config{QPS: -1})
	s.users.Unlock()
	if err != nil {
		t.Fatalf("add a user: %v", err)
	}
	for _, r := range rights {
		s.grant(t, name, r)
	}
	return user.Config()
}

func (s *Server) grant(t *testing.T, user string, rights Rights) {
	t.Helper()
	meta := metav1.ObjectMeta{GenerateName: user + "-", Namespace: rights.Namespace}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	var role, binding client.Object
	if rights.Namespace == "" {
		role = &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rights.Rules}
	} else {
		role = &rbacv1.Role{ObjectMeta: meta, Rules: rights.Rules}
	}
	s.create(t, role)
	if rights.Namespace == "" {
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.GetName()}
		binding = &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}
	} else {
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.GetName()}
		binding = &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}
	}
	s.create(t, binding)

	// The authorizer hears of roles and bindings a moment later: one right that works shows that it has heard of both.
	if len(rights.Rules) == 0 {
		return
	}
	Eventually(t, "the rights of a user", func() error {
		review := &authorizationv1.SubjectAccessReview{Spec: review(user, rights)}
		if err := s.Client.Create(t.Context(), review); err != nil {
			return err
		}
		if !review.Status.Allowed {
			return errors.New("not allowed yet")
		}
		return nil
	})
}

// review asks for the first of the rights.
func review(user string, rights Rights) authorizationv1.SubjectAccessReviewSpec {
	rule := rights.Rules[0]
	spec := authorizationv1.SubjectAccessReviewSpec{User: user}
	if len(rule.NonResourceURLs) > 0 {
		spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Verb: rule.Verbs[0], Path: rule.NonResourceURLs[0]}
		return spec
	}
	resource, subresource, _ := strings.Cut(rule.Resources[0], "/")
	spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
		Namespace: rights.Namespace, Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: resource, Subresource: subresource,
	}
	if len(rule.ResourceNames) > 0 {
		spec.ResourceAttributes.Name = rule.ResourceNames[0]
	}
	return spec
}

func (s *Server) create(t *testing.T, object client.Object) {
	t.Helper()
	if err := s.Client.Create(t.Context(), object); err != nil {
		t.Fatalf("create a %T: %v", object, err)
	}
	t.Cleanup(func() {
		if err := s.Client.Delete(context.Background(), object); client.IgnoreNotFound(err) != nil {
			t.Errorf("delete %s: %v", object.GetName(), err)
		}
	})
}
