// The same work as this project's operator does for an Application, on controller-runtime as its own documentation has it:
// a cached client, Owns, CreateOrUpdate, a status patch where the status differs, managed fields stripped from the cache,
// no client-side rate limit.
package main

import (
	"context"
	"flag"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

type reconciler struct {
	client.Client
	scheme *runtime.Scheme
}

func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	app := &Application{}
	if err := r.Get(ctx, req.NamespacedName, app); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !app.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name + "-deployment"}}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, deployment, func() error {
		renderDeployment(app, deployment)
		return controllerutil.SetControllerReference(app, deployment, r.scheme)
	}); err != nil {
		return ctrl.Result{}, later(err)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name + "-service"}}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, service, func() error {
		renderService(app, service)
		return controllerutil.SetControllerReference(app, service, r.scheme)
	}); err != nil {
		return ctrl.Result{}, later(err)
	}
	return ctrl.Result{}, later(r.status(ctx, app, deployment))
}

// A stale cache is no error: the event that mends it is on its way.
func later(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (r *reconciler) status(ctx context.Context, app *Application, deployment *appsv1.Deployment) error {
	before := app.DeepCopy()
	status := &app.Status
	status.ObservedGeneration = app.Generation
	status.Replicas = deployment.Status.Replicas
	status.ReadyReplicas = deployment.Status.ReadyReplicas
	status.UpdatedReplicas = deployment.Status.UpdatedReplicas
	status.Selector = "label=" + app.Name
	ready := metav1.ConditionFalse
	if deployment.Status.ReadyReplicas == app.Spec.Replicas {
		ready = metav1.ConditionTrue
	}
	for _, condition := range []metav1.Condition{
		{Type: "Ready", Status: ready, Reason: "Pending", Message: "Waiting for the cluster to take up the children"},
		{Type: "Progressing", Status: metav1.ConditionTrue, Reason: "Pending", Message: "Waiting for the cluster to take up the children"},
		{Type: "Degraded", Status: metav1.ConditionFalse, Reason: "AsExpected"},
	} {
		condition.ObservedGeneration = app.Generation
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	if equality.Semantic.DeepEqual(before.Status, app.Status) {
		return nil
	}
	return r.Status().Patch(ctx, app, client.MergeFrom(before))
}

func (in *Application) DeepCopy() *Application {
	out := new(Application)
	in.DeepCopyInto(out)
	return out
}

func renderDeployment(app *Application, deployment *appsv1.Deployment) {
	labels := map[string]string{"app": app.Name, "label": app.Name}
	if deployment.Labels == nil {
		deployment.Labels = map[string]string{}
	}
	if deployment.Annotations == nil {
		deployment.Annotations = map[string]string{}
	}
	for key, value := range labels {
		deployment.Labels[key] = value
	}
	deployment.Annotations["imageregistry"] = "https://hub.docker.com/"
	spec := &deployment.Spec
	spec.Replicas = &app.Spec.Replicas
	spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"label": app.Name}}
	spec.Template.Labels = labels
	pod := &spec.Template.Spec
	pod.AutomountServiceAccountToken = new(bool)
	if pod.SecurityContext == nil {
		pod.SecurityContext = &corev1.PodSecurityContext{}
	}
	pod.SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	// Only what is wished is set, so that the server's defaults are no difference.
	if len(pod.Containers) != 1 {
		pod.Containers = make([]corev1.Container, 1)
	}
	container := &pod.Containers[0]
	container.Name = app.Name + "-container"
	container.Image = app.Spec.Image
	container.Ports = []corev1.ContainerPort{{ContainerPort: app.Spec.Port, Protocol: corev1.ProtocolTCP}}
	container.SecurityContext = &corev1.SecurityContext{AllowPrivilegeEscalation: new(bool)}
}

func renderService(app *Application, service *corev1.Service) {
	if service.Labels == nil {
		service.Labels = map[string]string{}
	}
	service.Labels["app"] = app.Name
	spec := &service.Spec
	spec.Type = corev1.ServiceTypeNodePort
	spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	spec.Selector = map[string]string{"app": app.Name}
	if len(spec.Ports) != 1 {
		spec.Ports = make([]corev1.ServicePort, 1)
	}
	port := &spec.Ports[0]
	port.Name, port.Port, port.TargetPort, port.Protocol = "http", app.Spec.Port, intstr.FromInt32(app.Spec.Port), corev1.ProtocolTCP
}

func main() {
	workers := flag.Int("workers", 10, "concurrent reconciles")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	scheme := runtime.NewScheme()
	must(clientgoscheme.AddToScheme(scheme))
	addToScheme(scheme)
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:  scheme,
		Metrics: metricsserver.Options{BindAddress: "0"},
		Cache:   cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
	})
	must(err)
	must(ctrl.NewControllerManagedBy(manager).
		For(&Application{}).
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.Service{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: *workers}).
		Complete(&reconciler{Client: manager.GetClient(), scheme: scheme}))
	must(manager.Start(ctrl.SetupSignalHandler()))
}

func must(err error) {
	if err != nil {
		ctrl.Log.Error(err, "stopped")
		os.Exit(1)
	}
}
