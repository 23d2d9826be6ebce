// The function's code and its layers' as a class loader: classes in /var/task, jars in its lib
// folder and beside it, and jars in /opt/java/lib.
package microfaas;

import java.io.File;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

final class Code {
    private Code() {}

    static ClassLoader open(String root, String layers) throws MalformedURLException {
        List<URL> places = new ArrayList<>();
        // Not File.toURI: it asks whether the folder is there, for the slash that makes it one.
        places.add(new URL("file", null, root + "/"));
        addJars(new File(root, "lib"), places);
        addJars(new File(root), places);
        addJars(new File(layers, "java/lib"), places);
        return new URLClassLoader(places.toArray(new URL[0]), new Outside());
    }

    // In the order of their names, whatever order the file system has.
    private static void addJars(File folder, List<URL> places) throws MalformedURLException {
        String[] names = folder.list((parent, name) -> name.endsWith(".jar"));
        if (names == null) {
            return;
        }
        Arrays.sort(names);
        for (String name : names) {
            places.add(new File(folder, name).toURI().toURL());
        }
    }

    // What a function finds besides its own classes: the JDK and the interfaces of Lambda, but not
    // this host.
    private static final class Outside extends ClassLoader {
        Outside() {
            super(Code.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (name.startsWith("microfaas.")) {
                throw new ClassNotFoundException(name);
            }
            return super.loadClass(name, resolve);
        }
    }
}
